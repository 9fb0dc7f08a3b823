"""Where functions of NumPy's names go wrong elsewhere: axes in all their forms, arguments to be normalised, dtypes."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from helpers.compositions import along, assert_derivatives

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, vjp, vmap
from refgrad.errors import ShapeError

REDUCTIONS = ["sum", "mean", "var", "max", "min", "prod", "ptp", "average"]
AXES = [None, 0, -1, np.int64(1), (0,), (0, -1), (2, 0, 1), ()]


def values(shape, seed=0):
    """Different quarters, none zero."""
    n = int(np.prod(shape))
    numbers = 2 * np.random.default_rng(seed).permutation(n) - n + (n + 1) % 2
    return exact.asarray(numbers.astype(object).reshape(shape)) / 4


@pytest.mark.trap(7)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_axes_may_be_none_negative_tuples_or_empty_and_be_kept_in_every_reduction(name, axis, keepdims):
    x, v = values((2, 1, 3)), exact.asarray(np.arange(-3, 3).astype(object).reshape(2, 1, 3))
    f = lambda namespace, x: getattr(namespace, name)(x, axis=axis, keepdims=keepdims)
    assert_derivatives(lambda x: f(rnp, x), [x], [v], f(np, along([x], [v])[0]), orders=(1, 2))
    floats = x.astype("float32")
    y, back = vjp(lambda x: f(np, x), floats)
    assert y.shape == f(np, floats).shape
    assert y.dtype == np.float32
    assert np.abs(y - f(np, floats)).max() <= 2.0**-20 * 10
    assert back(np.ones_like(y))[0].shape == floats.shape


@pytest.mark.trap(7)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, ()])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_number_is_its_own_reduction(name, axis, keepdims):
    x = np.array(3.0)
    y, back = vjp(lambda x: getattr(rnp, name)(x, axis=axis, keepdims=keepdims), x)
    (g,) = back(np.ones_like(y))
    spread = name in ("var", "ptp")
    assert (float(y), float(g)) == ((0.0, 0.0) if spread else (3.0, 1.0))
    assert np.shape(y) == np.shape(g) == ()


@pytest.mark.trap(7)
@pytest.mark.parametrize("name", [*REDUCTIONS, "std", "logsumexp", "count_nonzero", "any", "all", "nansum", "nanmean"])
def test_an_axis_that_is_not_there_or_named_twice_is_refused(name):
    for axis in (2, -3, (0, 2), (0, 0), (0, -2)):
        for f in (getattr(rnp, name), lambda x: vjp(lambda x: getattr(np, name, getattr(rnp, name))(x, axis=axis), x)):
            with pytest.raises(ValueError):  # ours, or on plain arrays NumPy's own
                f(np.ones((2, 2)), axis=axis) if f is getattr(rnp, name) else f(np.ones((2, 2)))


def test_a_standard_deviation_has_the_slope_of_the_root_of_the_variance():
    x = np.array([[1.0, 3.0], [2.0, 8.0]])
    # of two numbers a < b: (b - a) / 2, and with ddof=1 (b - a) / sqrt 2
    assert grad(lambda x: np.sum(np.std(x, axis=1)))(x).tolist() == [[-0.5, 0.5], [-0.5, 0.5]]
    expected = np.sqrt(0.5) * np.array([[-1, 1], [-1, 1]])
    assert np.abs(grad(lambda x: np.sum(np.std(x, axis=-1, ddof=1)))(x) - expected).max() <= 2.0**-51
    with np.errstate(invalid="ignore", divide="ignore"):
        assert np.isnan(grad(np.std)(np.ones(2))).all()
        for ddof in (1, 2):
            assert np.isnan(vjp(lambda x, ddof=ddof: rnp.var(x, ddof=ddof), np.ones(1))[0])


@pytest.mark.trap(8)
def test_scalar_reps_of_a_matrix_repeat_its_last_axis():
    # an engine that pads reps at the end repeats the first axis, with wrong values and a plausible shape
    x = np.arange(4.0).reshape(2, 2)
    y, back = vjp(lambda x: np.tile(x, 2), x)
    assert y.tolist() == [[0, 1, 0, 1], [2, 3, 2, 3]]
    assert back(np.arange(8.0).reshape(2, 4))[0].tolist() == [[2, 4], [10, 12]]


@pytest.mark.trap(8)
@pytest.mark.parametrize("kind", [int, np.int64, np.uint8, np.array], ids=lambda k: k.__name__)
def test_counts_and_shifts_may_be_integers_of_any_kind(kind):
    x = np.arange(6.0).reshape(2, 3)
    two = kind(2)
    for f in (
        lambda np, x: np.tile(x, two),
        lambda np, x: np.repeat(x, two, axis=1),
        lambda np, x: np.roll(x, two, axis=0),
        lambda np, x: np.rot90(x, two),
        lambda np, x: np.array_split(x, two)[1],
        lambda np, x: np.take(x, two, axis=1),
    ):
        y, back = vjp(lambda x, f=f: f(rnp, x), x)
        assert (y == f(np, x)).all()
        assert back(np.ones_like(y))[0].sum() == y.size
    assert rnp.pad(x, two).shape == (6, 7)


@pytest.mark.trap(8)
def test_a_repeat_by_an_array_sums_its_copies():
    g = grad(lambda x: np.sum(np.repeat(x, [3, 0, 1]) * np.array([1.0, 10.0, 100.0, 1000.0])))(np.ones(3))
    assert g.tolist() == [111.0, 0.0, 1000.0]


@pytest.mark.trap(8)
def test_every_order_of_axes_is_undone_by_its_transpose():
    x = values((2, 3, 1))
    u = values((2, 3, 1), 1)
    for order in itertools.permutations(range(3)):
        negative = tuple(a - 3 for a in order)
        for axes in (order, negative, list(order)):
            y, back = vjp(lambda x, axes=axes: np.transpose(x, axes), x)
            assert y.shape == tuple(x.shape[a] for a in order)
            assert (back(rnp.transpose(u, order))[0] == u).all()
    assert jvp(lambda x: x.transpose(2, 0, 1), (x,), (u,))[1].shape == (1, 2, 3)
    assert jvp(lambda x: x.T, (x,), (u,))[1].shape == (1, 3, 2)


@pytest.mark.trap(8)
def test_a_border_of_no_width_and_an_array_without_elements_are_no_special_cases():
    x = np.ones((2, 0))
    for f in (
        lambda np, x: np.pad(x, ((0, 0), (0, 0))),
        lambda np, x: np.pad(x, 1),
        lambda np, x: np.tile(x, (2, 3)),
        lambda np, x: np.repeat(x, 2, axis=0),
        lambda np, x: np.repeat(x, [1, 2], axis=0),
        lambda np, x: np.roll(x, 1),
        lambda np, x: np.roll(x, 1, axis=1),
        lambda np, x: np.rot90(x),
        lambda np, x: np.sort(x),
        lambda np, x: np.concatenate([x, x], axis=1),
        lambda np, x: np.cumsum(x),
        lambda np, x: np.tensordot(x, x, axes=(1, 1)),
        lambda np, x: np.kron(x, x),
        lambda np, x: np.array_split(x, 3)[2],
        lambda np, x: np.take(x, [0, 0], axis=0),
        lambda np, x: x[np.array([True, False])],
        lambda np, x: x[np.array([], int)],
    ):
        y, back = vjp(lambda x, f=f: f(rnp, x), x)
        assert y.shape == f(np, x).shape
        assert back(np.ones_like(y))[0].shape == x.shape
    with pytest.raises(ValueError, match="empty"):
        rnp.pad(x, 1, mode="edge")


@pytest.mark.trap(9)
def test_a_mask_gathers_in_order_and_its_transpose_fills_with_zeros():
    x = values((2, 3))
    mask = np.array([[True, False, True], [False, True, True]])
    y, back = vjp(lambda x: x[mask], x)
    assert (y == x[mask]).all()
    assert (back(exact.asarray([1, 2, 3, 4]))[0] == np.array([[1, 0, 2], [0, 3, 4]])).all()
    assert vjp(lambda x: x[np.zeros((2, 3), bool)], x)[1](exact.asarray(np.array([], object)))[0].shape == (2, 3)
    found = grad(lambda x: rnp.sum(x[x > 0] ** 2))(x)  # the mask is looked up in the values
    assert (found == rnp.where(x > 0, 2 * x, 0)).all()


@pytest.mark.trap(10)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_constants_of_other_dtypes_do_not_change_the_dtype_of_a_gradient(dtype):
    x = np.array([1, 2, 4], dtype)
    constants = (2, 2.0, True, np.arange(3), np.array([True, False, True]), np.ones(3), np.float64(2), np.ones(3, "f4"))
    for c in constants:
        for f in (
            lambda x, c=c: rnp.sum(x * c),
            lambda x, c=c: rnp.sum(rnp.where(x > 1, x, c)),
            lambda x, c=c: rnp.sum(rnp.concatenate([x, c * rnp.ones_like(x)]) ** 2),
            lambda x, c=c: rnp.average(x, weights=1 + c * np.ones(3)),
            lambda x, c=c: rnp.sum(rnp.clip(x, c, None)),
            lambda x, c=c: rnp.sum(rnp.tensordot(x, c * np.ones(3), 1)),
        ):
            assert grad(f)(x).dtype == dtype
            assert hvp(f, x, x).dtype == dtype
            assert grad(f)(x).shape == x.shape


@pytest.mark.trap(10)
def test_python_numbers_do_not_widen_float32():
    x = np.array([1, 2, 4], np.float32)
    for f in (
        lambda x: rnp.clip(x, 0.5, 3.0),
        lambda x: rnp.pad(x, 1, constant_values=0.1),
        lambda x: rnp.full_like(x, 0.1),
        lambda x: rnp.nan_to_num(x, nan=0.1),
        lambda x: rnp.linspace(x, 0.1, 3),
        lambda x: rnp.linspace(0.1, x, 3, endpoint=False),
        lambda x: rnp.diff(x, prepend=0.1),
        lambda x: rnp.var(x, ddof=0.5),
        lambda x: rnp.where(x > 1, x, 0.1),
        lambda x: rnp.cumulative_sum(x, include_initial=True),
        lambda x: rnp.nanmean(x),
    ):
        assert jvp(f, (x,), (x,))[0].dtype == np.float32
        assert f(x).dtype == np.float32


@pytest.mark.trap(19)
def test_what_is_batched_keeps_its_examples_apart():
    x = np.arange(12.0).reshape(2, 3, 2)
    for f in (
        lambda x: rnp.tile(x, 2),
        lambda x: rnp.roll(x, 1),
        lambda x: rnp.repeat(x, 2),
        lambda x: rnp.pad(x, 1, mode="wrap"),
        lambda x: rnp.rot90(x),
        lambda x: rnp.sort(-x, axis=None),
        lambda x: rnp.std(x, ddof=1),
        lambda x: rnp.full_like(x, 2.0),
        lambda x: rnp.linspace(x[0], x[1], 3),
    ):
        assert (vmap(f)(x) == np.stack([f(e) for e in x])).all()


def test_a_mean_of_float16_is_taken_in_float32_as_in_numpy():
    x = np.array([[60000.0, 60000.0, 3.0]] * 30000, np.float16)  # sums, and the number of elements, overflow
    for f in (lambda np, x: np.mean(x), lambda np, x: np.mean(x, axis=(0, -1), keepdims=True)):
        for y in (f(rnp, x), vjp(lambda x, f=f: f(np, x), x)[0], vmap(lambda x, f=f: f(np, x))(x[None])[0]):
            assert y.dtype == np.float16
            assert np.array_equal(y, f(np, x))
    g = grad(np.mean)(x)
    assert g.dtype == np.float16
    assert (g == np.float16(1 / 90000)).all()


def test_indices_along_no_axis_pick_from_the_raveled_array():
    x, i = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([3, 0, 3])
    y, back = vjp(lambda x: np.take_along_axis(x, i, None), x)
    assert y.tolist() == np.take_along_axis(x, i, None).tolist() == [4.0, 1.0, 4.0]
    assert back(np.ones(3))[0].tolist() == [[1.0, 0.0], [0.0, 2.0]]
    with pytest.raises(ShapeError, match="as many axes as x"):
        vjp(lambda x: np.take_along_axis(x, i, 1), x)


def test_an_axis_of_a_number_and_a_list_of_axes_are_refused_in_plain_words():
    for f, said in (
        (lambda x: rnp.concatenate([x, x]), "expected no axis for shape ()"),
        (lambda x: rnp.sum(rnp.stack([x]), axis=[0]), "an int, or a tuple of ints"),
    ):
        with pytest.raises(ShapeError, match=re.escape(said)):
            grad(f)(1.0)
