"""Every elementwise primitive under every kind of broadcasting, against its own derivatives at single numbers.

The shapes are all combinations that broadcast of numbers, missing axes, axes of length 1 against longer and against
empty ones, and arrays that really have length 1. What each element contributes is added up here, by index.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.sampling import IRRATIONAL

from refgrad import exact, grad, hvp, jvp, vjp
from refgrad.autodiff.core import PRIMITIVES
from refgrad.numpy import sum as total

# whatever `elementwise` in refgrad.autodiff.primitive has made
ELEMENTWISE = [p for p in PRIMITIVES.values() if p.vjp is not None and p.vjp.__qualname__.startswith("elementwise.")]
POOL = [(), (1,), (3,), (2, 1), (2, 3), (1, 1), (0,), (2, 0)]


def combinations(arity):
    pool = POOL if arity < 3 else [(), (1,), (3,), (2, 1), (0,)]
    found = []
    for shapes in itertools.product(pool, repeat=arity):
        try:
            np.broadcast_shapes(*shapes)
        except ValueError:
            continue
        found.append(shapes)
    return found


def shapes_of(primitive):
    """Shapes of the arguments; a second one that is beyond 1 in the declared case is one number, a hint to the rule."""
    kinds = [domain.kind for domain in primitive.cases[0].args]
    every = combinations(len(kinds))
    return [shapes for shapes in every if kinds[1:] != ["beyond"] or shapes[1] == ()]


def inputs(primitive, shapes, rng):
    """Exact arrays, all of whose numbers are different and none zero, in the domains of the primitive's first case."""
    pool = iter(rng.permutation(40).tolist())
    arrays = []
    for domain, shape in zip(primitive.cases[0].args, shapes, strict=True):
        size = int(np.prod(shape, dtype=int))
        if domain.kind == "mask":
            arrays.append(rng.integers(0, 2, shape).astype(bool))
            continue
        numbers = np.array([2 * next(pool) - 39 for _ in range(size)], int).reshape(shape)  # odd, from -39 to 39
        numbers = np.abs(numbers) if domain.kind in ("positive", "beyond") else numbers
        # no odd number of sixteenths is a whole multiple of one of seventeenths
        x = exact.asarray(numbers.astype(object)) / {"inside": 64, "nonzero": 17}.get(domain.kind, 16)
        arrays.append(1 + x if domain.kind == "beyond" else x)
    return arrays


def test_the_elementwise_primitives_are_found_and_so_are_all_kinds_of_broadcasting():
    assert {"add", "where", "exp", "arctan2", "sinc", "pow_real"} <= {p.name for p in ELEMENTWISE}
    assert not {"matmul", "sum", "solve", "einsum"} & {p.name for p in ELEMENTWISE}
    assert len(combinations(2)) > 30


@pytest.mark.trap(6)
@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda p: p.name)
def test_each_argument_gathers_the_derivatives_of_all_elements_it_was_repeated_to(primitive):
    rng = np.random.default_rng(0)
    params = primitive.cases[0].params
    balls = primitive.name in IRRATIONAL
    for shapes in shapes_of(primitive):
        arrays = inputs(primitive, shapes, rng)
        if balls:
            arrays = [exact.balls(a) if isinstance(a, exact.ExactArray) else a for a in arrays]
        smooth = [i for i, a in enumerate(arrays) if isinstance(a, exact.ElementArray)]

        def f(*xs, arrays=arrays, smooth=smooth):
            args = list(arrays)
            for i, x in zip(smooth, xs, strict=True):
                args[i] = x
            return primitive(*args, **params)

        xs = tuple(arrays[i] for i in smooth)
        y, back = vjp(f, *xs)
        whole = np.broadcast_shapes(*shapes)
        assert y.shape == whole, shapes
        u = exact.asarray(rng.integers(1, 9, whole).astype(object))
        v = tuple(exact.asarray(rng.integers(-4, 5, x.shape).astype(object)) for x in xs)
        u, v = (exact.balls(u), tuple(map(exact.balls, v))) if balls else (u, v)
        cotangents, tangent = back(u), jvp(f, xs, v)[1]
        # along one argument at a time, the others being constants
        partial = [jvp(lambda x, k=k: f(*xs[:k], x, *xs[k + 1 :]), (xs[k],), (v[k],))[1] for k in range(len(xs))]
        assert [g.shape for g in cotangents] == [x.shape for x in xs], shapes
        assert {t.shape for t in (tangent, *partial)} == {whole}, shapes

        spread = [np.broadcast_to(a.data if isinstance(a, exact.ElementArray) else a, whole) for a in arrays]
        places = [np.broadcast_to(np.arange(x.size).reshape(x.shape), whole) for x in xs]
        sums = [[0] * x.size for x in xs]
        for at in np.ndindex(*whole):
            single = [type(xs[0])(s[at]) if i in smooth else bool(s[at]) for i, s in enumerate(spread)]
            slopes = grad(lambda *e, one=single: _filled(primitive, one, smooth, e, params), tuple(range(len(smooth))))(
                *(single[i] for i in smooth)
            )
            slopes = [s.data.item() for s in slopes]
            moved = [slope * v[k].data.ravel()[places[k][at]] for k, slope in enumerate(slopes)]
            for k, slope in enumerate(slopes):
                sums[k][places[k][at]] += slope * u.data[at]
                assert _agree(partial[k].data[at], moved[k]), (shapes, at)
            assert _agree(tangent.data[at], sum(moved)), (shapes, at)
        for g, expected in zip(cotangents, sums, strict=True):
            assert all(map(_agree, g.data.ravel(), expected)), shapes


def _filled(primitive, single, smooth, values, params):
    args = list(single)
    for i, value in zip(smooth, values, strict=True):
        args[i] = value
    return primitive(*args, **params)


def _agree(found, expected):
    return found.overlaps(expected + 0 * found) if hasattr(found, "overlaps") else found == expected


@pytest.mark.parametrize("primitive", ELEMENTWISE, ids=lambda p: p.name)
def test_shapes_and_dtypes_of_first_and_second_derivatives_are_those_of_the_arguments(primitive):
    rng = np.random.default_rng(1)
    params = primitive.cases[0].params
    for shapes in shapes_of(primitive):
        plain = [a if a.dtype == bool else a.astype("float32") for a in inputs(primitive, shapes, rng)]
        smooth = [i for i, a in enumerate(plain) if a.dtype != bool]

        def f(xs, plain=plain, smooth=smooth):
            y = _filled(primitive, plain, smooth, xs, params)
            return total(y * y)

        xs = tuple(np.asarray(plain[i]) for i in smooth)
        for found in (grad(f)(xs), hvp(f, xs, xs)):
            assert [(g.shape, g.dtype) for g in found] == [(x.shape, np.float32) for x in xs], shapes
