"""The functions of refgrad.numpy against NumPy's own, in every form of their arguments.

Each case is written once, for any namespace. NumPy's function, run on object arrays of truncated Taylor series, is the
oracle for values and derivatives: it knows no rule of the engine.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers.compositions import along, assert_derivatives
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, vjp, vmap

I = np.array([1.0, 3.0, 2.0])


def case(name, f, *shapes):
    return pytest.param(f, shapes, id=name)


MOVES = [
    case("tile-scalar-on-matrix", lambda np, x: np.tile(x, 2), (2, 3)),
    case("tile-fewer", lambda np, x: np.tile(x, (3,)), (2, 2)),
    case("tile-equal", lambda np, x: np.tile(x, (2, 1)), (2, 3)),
    case("tile-more", lambda np, x: np.tile(x, (2, 1, 2)), (2, 2)),
    case("tile-0d", lambda np, x: np.tile(x, (2, 2)), ()),
    case("tile-zero", lambda np, x: np.tile(x, (0, 2)), (2, 1)),
    case("tile-array-reps", lambda np, x: np.tile(x, I.astype(int)), (2, 1)),
    case("tile-none", lambda np, x: np.tile(x, ()), (2,)),
    case("repeat-raveled", lambda np, x: np.repeat(x, 2), (2, 2)),
    case("repeat-axis", lambda np, x: np.repeat(x, 3, axis=0), (2, 2)),
    case("repeat-negative-axis", lambda np, x: np.repeat(x, 2, -1), (2, 2)),
    case("repeat-array", lambda np, x: np.repeat(x, [2, 0, 1], axis=1), (2, 3)),
    case("repeat-array-raveled", lambda np, x: np.repeat(x, [1, 2, 0, 3]), (2, 2)),
    case("repeat-array-of-one", lambda np, x: np.repeat(x, [2], axis=0), (3,)),
    case("repeat-zero", lambda np, x: np.repeat(x, 0, axis=0), (3,)),
    case("repeat-0d", lambda np, x: np.repeat(x, 3), ()),
    case("roll-raveled", lambda np, x: np.roll(x, 2), (2, 3)),
    case("roll-negative", lambda np, x: np.roll(x, -1, axis=-1), (2, 3)),
    case("roll-far", lambda np, x: np.roll(x, 7, 0), (3,)),
    case("roll-tuple", lambda np, x: np.roll(x, (1, -1), axis=(0, 1)), (2, 3)),
    case("roll-one-shift-for-all", lambda np, x: np.roll(x, 1, axis=(0, 1)), (2, 3)),
    case("roll-same-axis-twice", lambda np, x: np.roll(x, (1, 1), axis=(1, 1)), (2, 3)),
    case("roll-several-shifts-of-one-axis", lambda np, x: np.roll(x, (1, 1), axis=1), (2, 3)),
    case("roll-nothing", lambda np, x: np.roll(x, 0), (0,)),
    case("rot90", lambda np, x: np.rot90(x), (2, 3)),
    case("rot90-twice", lambda np, x: np.rot90(x, 2), (2, 3)),
    case("rot90-back", lambda np, x: np.rot90(x, -1, axes=(1, 2)), (1, 2, 3)),
    case("rot90-other-way", lambda np, x: np.rot90(x, axes=(1, 0)), (2, 3)),
    case("rot90-four", lambda np, x: np.rot90(x, 4), (2, 3)),
    case("pad-int", lambda np, x: np.pad(x, 1), (2, 2)),
    case("pad-pair", lambda np, x: np.pad(x, (1, 2)), (2, 1)),
    case("pad-pairs", lambda np, x: np.pad(x, ((0, 1), (2, 0))), (2, 2)),
    case("pad-one-pair", lambda np, x: np.pad(x, ((1, 0),)), (2, 2)),
    case("pad-nothing", lambda np, x: np.pad(x, 0), (2, 2)),
    case("pad-constant", lambda np, x: np.pad(x, 1, constant_values=3), (2, 2)),
    case("pad-constants", lambda np, x: np.pad(x, 1, constant_values=((1, 2), (3, 4))), (1, 2)),
    case("pad-edge", lambda np, x: np.pad(x, ((1, 2), (0, 1)), mode="edge"), (2, 2)),
    case("pad-reflect", lambda np, x: np.pad(x, ((1, 0), (1, 2)), mode="reflect"), (2, 3)),
    case("pad-reflect-far", lambda np, x: np.pad(x, (4, 5), mode="reflect"), (3,)),
    case("pad-symmetric", lambda np, x: np.pad(x, 2, mode="symmetric"), (2, 3)),
    case("pad-wrap", lambda np, x: np.pad(x, (1, 5), mode="wrap"), (3,)),
    case("stack", lambda np, x, y: np.stack([x, y]), (2, 2), (2, 2)),
    case("stack-last", lambda np, x, y: np.stack((x, y), axis=-1), (2, 1), (2, 1)),
    case("hstack-vectors", lambda np, x, y: np.hstack([x, y]), (2,), (3,)),
    case("hstack-matrices", lambda np, x, y: np.hstack([x, y]), (2, 1), (2, 2)),
    case("hstack-numbers", lambda np, x, y: np.hstack([x, y]), (), ()),
    case("vstack-vectors", lambda np, x, y: np.vstack([x, y]), (2,), (2,)),
    case("vstack-mixed", lambda np, x, y: np.vstack([x, y]), (2, 2), (2,)),
    case("dstack", lambda np, x, y: np.dstack([x, y]), (2, 2), (2, 2)),
    case("dstack-vectors", lambda np, x, y: np.dstack([x, y]), (2,), (2,)),
    case("column_stack", lambda np, x, y: np.column_stack([x, y]), (2,), (2, 2)),
    case("append-raveled", lambda np, x, y: np.append(x, y), (2, 2), (1,)),
    case("append-axis", lambda np, x, y: np.append(x, y, axis=-1), (2, 2), (2, 1)),
    case("concatenate-none", lambda np, x, y: np.concatenate([x, y], axis=None), (2, 1), ()),
    case("concatenate-rows-of-one-array", lambda np, x: np.concatenate(x, axis=-1), (2, 2, 1)),
    case("array_split", lambda np, x: np.hstack(np.array_split(x, 3)[::-1]), (5,)),
    case("array_split-cuts", lambda np, x: np.hstack(np.array_split(x, [1, 3], axis=1)[::2]), (2, 4)),
    case("array_split-cuts-beyond", lambda np, x: np.hstack(np.array_split(x, [-1, 7])), (4,)),
    case("split", lambda np, x: np.split(x, 2, axis=-1)[1], (2, 4)),
    case("split-cuts", lambda np, x: np.split(x, (1, 2))[1], (3, 2)),
    case("hsplit", lambda np, x: np.hsplit(x, 2)[0], (2, 2)),
    case("hsplit-vector", lambda np, x: np.hsplit(x, [1])[1], (3,)),
    case("vsplit", lambda np, x: np.vsplit(x, 2)[1], (4, 1)),
    case("dsplit", lambda np, x: np.dsplit(x, 2)[1], (1, 2, 2)),
    case("unstack", lambda np, x: np.unstack(x, axis=-1)[1], (2, 3)),
    case("atleast_1d", lambda np, x: np.atleast_1d(x), ()),
    case("atleast_2d", lambda np, x: np.atleast_2d(x), (2,)),
    case("atleast_2d-of-two", lambda np, x, y: np.hstack(np.atleast_2d(x, y)), (), (3,)),
    case("atleast_3d", lambda np, x: np.atleast_3d(x), (2,)),
    case("atleast_3d-matrix", lambda np, x: np.atleast_3d(x), (2, 3)),
    case("atleast_3d-0d", lambda np, x: np.atleast_3d(x), ()),
    case("swapaxes", lambda np, x: np.swapaxes(x, 0, -1), (2, 1, 3)),
    case("moveaxis", lambda np, x: np.moveaxis(x, 0, -1), (2, 1, 3)),
    case("moveaxis-tuples", lambda np, x: np.moveaxis(x, (0, -1), (-1, 0)), (2, 1, 3)),
    case("moveaxis-first-two", lambda np, x: np.moveaxis(x, (0, 1), (1, 0)), (2, 1, 3)),
    case("moveaxis-lists", lambda np, x: np.moveaxis(x, [2, 0], [0, 1]), (2, 1, 3)),
    case("transpose-negative", lambda np, x: np.transpose(x, (-1, 0, -2)), (2, 1, 3)),
    case("expand_dims", lambda np, x: np.expand_dims(x, -1), (2, 3)),
    case("expand_dims-tuple", lambda np, x: np.expand_dims(x, (0, -1)), (2, 3)),
    case("squeeze", lambda np, x: np.squeeze(x), (1, 2, 1)),
    case("squeeze-tuple", lambda np, x: np.squeeze(x, axis=(0, -1)), (1, 2, 1)),
    case("broadcast_arrays", lambda np, x, y: np.hstack(np.broadcast_arrays(x, y)), (2, 1), (3,)),
    case("meshgrid", lambda np, x, y: np.hstack(np.meshgrid(x, y)), (2,), (2,)),
    case("meshgrid-ij", lambda np, x, y: np.stack(np.meshgrid(x, y, indexing="ij")), (2,), (3,)),
    case("meshgrid-sparse", lambda np, x, y: np.vstack(np.meshgrid(x, y, sparse=True)[1]), (2,), (3,)),
    case("meshgrid-three", lambda np, x, y: np.stack(np.meshgrid(x, y, x)), (2,), (3,)),
    case("take-raveled", lambda np, x: np.take(x, [[0, 3], [3, -1]]), (2, 2)),
    case("take-number", lambda np, x: np.take(x, 1, axis=-1), (2, 3)),
    case("take-wrap", lambda np, x: np.take(x, [-4, 5, 1], axis=0, mode="wrap"), (3,)),
    case("take-clip", lambda np, x: np.take(x, [-4, 5, 1], axis=0, mode="clip"), (3,)),
    case("mask", lambda np, x: x[I > 1], (3, 2)),
    case("sort", lambda np, x: np.sort(x), (2, 3)),
    case("sort-first-axis", lambda np, x: np.sort(x, axis=0), (3, 2)),
    case("sort-raveled", lambda np, x: np.sort(x, axis=None), (2, 2)),
    case("diff", lambda np, x: np.diff(x), (2, 3)),
    case("diff-second", lambda np, x: np.diff(x, n=2, axis=0), (4, 2)),
    case("diff-none", lambda np, x: np.diff(x, n=0), (3,)),
    case("diff-prepend", lambda np, x, y: np.diff(x, prepend=y, append=0), (2, 2), (2, 1)),
    case("diff-prepend-number", lambda np, x, y: np.diff(x, axis=0, prepend=y), (2, 2), ()),
]
PRODUCTS = [
    case("kron", lambda np, x, y: np.kron(x, y), (2, 2), (1, 2)),
    case("kron-ranks", lambda np, x, y: np.kron(x, y), (2,), (2, 2)),
    case("kron-number", lambda np, x, y: np.kron(x, y), (), (2,)),
    case("tensordot", lambda np, x, y: np.tensordot(x, y), (2, 2, 3), (2, 3, 1)),
    case("tensordot-none", lambda np, x, y: np.tensordot(x, y, axes=0), (2,), (2,)),
    case("tensordot-one", lambda np, x, y: np.tensordot(x, y, 1), (2, 2), (2,)),
    case("tensordot-pair", lambda np, x, y: np.tensordot(x, y, axes=(0, -1)), (2, 3), (2, 2)),
    case("tensordot-lists", lambda np, x, y: np.tensordot(x, y, axes=([2, 0], [0, 1])), (2, 1, 3), (3, 2)),
    case("cross", lambda np, x, y: np.cross(x, y), (2, 3), (3,)),
    case("cross-axes", lambda np, x, y: np.cross(x, y, axisa=0, axisb=1, axisc=0), (3, 2), (2, 3)),
    case("cross-axis", lambda np, x, y: np.cross(x, y, axis=0), (3, 1), (3, 2)),
    case("dot-stacks", lambda np, x, y: np.dot(x, y), (2, 1, 2), (3, 2, 1)),
    case("dot-vector", lambda np, x, y: np.dot(x, y), (2,), (3, 2, 1)),
    case("inner-stacks", lambda np, x, y: np.inner(x, y), (2, 2), (2, 1, 2)),
    case("convolve", lambda np, x, y: np.convolve(x, y), (4,), (2,)),
    case("convolve-same", lambda np, x, y: np.convolve(x, y, "same"), (4,), (3,)),
    case("convolve-longer-second", lambda np, x, y: np.convolve(x, y, mode="same"), (2,), (5,)),
    case("convolve-valid", lambda np, x, y: np.convolve(x, y, mode="valid"), (2,), (4,)),
    case("correlate", lambda np, x, y: np.correlate(x, y), (4,), (2,)),
    case("correlate-longer-second", lambda np, x, y: np.correlate(x, y), (2,), (4,)),
    case("correlate-same", lambda np, x, y: np.correlate(x, y, "same"), (4,), (3,)),
    case("correlate-same-longer-second", lambda np, x, y: np.correlate(x, y, "same"), (2,), (5,)),
    case("correlate-full", lambda np, x, y: np.correlate(x, y, mode="full"), (2,), (3,)),
    case("cumsum", lambda np, x: np.cumsum(x), (2, 2)),
    case("cumprod", lambda np, x: np.cumprod(x, axis=-1), (2, 3)),
    case("cumulative_sum", lambda np, x: np.cumulative_sum(x, axis=0, include_initial=True), (2, 2)),
    case("cumulative_prod", lambda np, x: np.cumulative_prod(x, include_initial=True), (3,)),
    case("var", lambda np, x: np.var(x), (2, 3)),
    case("var-ddof", lambda np, x: np.var(x, axis=-1, ddof=1, keepdims=True), (2, 3)),
    case("var-correction", lambda np, x: np.var(x, axis=(0, 2), correction=1), (2, 1, 2)),
    case("ptp", lambda np, x: np.ptp(x, axis=1, keepdims=True), (2, 3)),
    case("average", lambda np, x: np.average(x, axis=0), (2, 3)),
    case("average-weights", lambda np, x, y: np.average(x, axis=-1, weights=y * y + 1), (2, 3), (3,)),
    case("average-whole", lambda np, x, y: np.average(x, weights=y * y + 1), (2, 2), (2, 2)),
    case("average-two-axes", lambda np, x, y: np.average(x, (2, 0), weights=y * y + 1), (2, 1, 3), (3, 2)),
    case("average-returned", lambda np, x, y: np.average(x, 0, y * y + 1, True)[1], (2, 2), (2,)),
    case("linspace", lambda np, x, y: np.linspace(x, y, 4), (), ()),
    case("linspace-open", lambda np, x, y: np.linspace(x, y, num=3, endpoint=False), (2,), ()),
    case("linspace-axis", lambda np, x, y: np.linspace(x, y, num=3, axis=-1), (2,), (2,)),
    case("linspace-one", lambda np, x, y: np.linspace(x, y, num=1), (), ()),
    case("clip-arrays", lambda np, x, y: np.clip(x, y, y + y * y), (2, 3), (3,)),
]
VECDOT = [
    case("vecdot", lambda np, x, y: np.vecdot(x, y), (2, 3), (3,)),
    case("vecdot-axis", lambda np, x, y: np.vecdot(x, y, axis=0), (2, 3), (2, 1)),
]
CASES = MOVES + PRODUCTS + VECDOT


def numbers(shapes, seed=0):
    """Different quarters, none of them zero, so that nothing is tied and floats hold them."""
    rng = np.random.default_rng(seed)
    count = sum(int(np.prod(s)) for s in shapes)
    values = (rng.permutation(4 * count + 4)[:count] - 2 * count) * 2 + 1
    parts, start = [], 0
    for s in shapes:
        n = int(np.prod(s))
        parts.append(exact.asarray(values[start : start + n].astype(object).reshape(s)) / 4)
        start += n
    return parts


def directions(shapes):
    rng = np.random.default_rng(1)
    return [exact.asarray(rng.integers(-3, 4, size=s).astype(object)) for s in shapes]


@pytest.mark.trap(8)
@pytest.mark.parametrize(("f", "shapes"), MOVES + PRODUCTS)
def test_values_and_derivatives_are_those_of_numpys_own_function_on_taylor_series(f, shapes):
    xs, vs = numbers(shapes), directions(shapes)
    assert_derivatives(lambda *x: f(rnp, *x), xs, vs, f(np, *along(xs, vs)))


@pytest.mark.parametrize(("f", "shapes"), CASES)
def test_numpys_function_on_traced_values_is_ours_and_keeps_float32(f, shapes):
    xs = [x.astype("float32") for x in numbers(shapes)]
    expected = f(np, *xs)
    for namespace in (np, rnp):
        y, back = vjp(lambda *x, np=namespace: f(np, *x), *xs)
        assert y.shape == expected.shape
        assert y.dtype == np.float32
        # a few roundings of at most 16 terms
        assert np.abs(y - expected).max(initial=0) <= 2.0**-19 * np.abs(expected).max(initial=1)
        gradients = back(np.ones_like(y))
        assert [(g.shape, g.dtype) for g in gradients] == [(x.shape, np.float32) for x in xs]
    h = hvp(lambda t: rnp.sum(f(rnp, *t) ** 2), tuple(xs), tuple(xs))
    assert [(a.shape, a.dtype) for a in h] == [(x.shape, np.float32) for x in xs]


@pytest.mark.parametrize(("f", "shapes"), CASES)
def test_a_batch_is_the_loop_over_its_examples(f, shapes):
    examples = [numbers(shapes, seed) for seed in (0, 1)]
    scalar = lambda *x: rnp.sum(f(rnp, *x) ** 2)
    everything = tuple(range(len(shapes)))
    stacked = [np.stack(column) for column in zip(*examples, strict=True)]
    found = vmap(grad(scalar, everything))(*stacked)
    loop = [grad(scalar, everything)(*e) for e in examples]
    for i in everything:
        assert (found[i] == np.stack([g[i] for g in loop])).all()
    if len(shapes) == 2:
        found = vmap(lambda *x: f(rnp, *x), in_axes=(None, 0))(examples[0][0], stacked[1])
        assert (found == np.stack([f(rnp, examples[0][0], e[1]) for e in examples])).all()


@pytest.mark.parametrize(("f", "shapes"), CASES)
def test_functions_run_on_a_strict_array_api_library(f, shapes):
    xs = [x.astype(float) for x in numbers(shapes)]
    expected = f(np, *xs)
    strict = [array_api_strict.asarray(x) for x in xs]
    y, back = vjp(lambda *x: f(rnp, *x), *strict)
    assert isinstance(y, type(strict[0]))
    assert np.abs(np.asarray(y) - expected).max(initial=0) <= 2.0**-48 * np.abs(expected).max(initial=1)
    plain = vjp(lambda *x: f(rnp, *x), *xs)[1](np.ones(expected.shape))
    for a, b in zip(back(array_api_strict.ones(y.shape)), plain, strict=True):
        assert np.abs(np.asarray(a) - b).max(initial=0) <= 2.0**-48 * np.abs(b).max(initial=1)
