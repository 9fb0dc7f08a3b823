"""Which function a name stands for: ours, NumPy's own, or none, for plain and for traced values."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import exact, grad, jvp, vjp, vmap
from refgrad.errors import BatchedValue, InvalidInput, NoDerivative, ShapeError

X = np.array([1.5, -2.5, 2.0])


def test_names_that_are_not_ours_are_numpys_own():
    assert rnp.arange(3).tolist() == [0, 1, 2]
    assert rnp.histogram(X, bins=2)[0].tolist() == [1, 2]
    assert (rnp.fft.fft(X) == np.fft.fft(X)).all()
    assert rnp.median is np.median
    assert rnp.int32 is np.int32
    assert {"sum", "fft", "median"} <= set(dir(rnp))
    assert rnp.linalg.matrix_rank(np.eye(2)) == 2
    assert rnp.sort(exact.asarray([2, 1]))[0] == 1


def test_a_name_that_nobody_has_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"neither refgrad\.numpy nor numpy has 'gradient_descent'"):
        rnp.gradient_descent
    with pytest.raises(AttributeError, match=r"neither refgrad\.numpy\.linalg nor numpy\.linalg has 'solve_it'"):
        rnp.linalg.solve_it


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("histogram", lambda x: rnp.histogram(x)[0][0] * x[0]),
        ("median", lambda x: rnp.median(x)),
        ("fft.fft", lambda x: rnp.fft.fft(x)),
        ("linalg.eig", lambda x: rnp.linalg.eig(rnp.outer(x, x))),
        ("interp", lambda x: rnp.sum(rnp.interp(x, X, X))),
        ("nonzero", lambda x: np.nonzero(x)),
        ("unique", lambda x: rnp.unique(x)),
        ("percentile", lambda x: np.percentile(x, 3)),
        ("heaviside", lambda x: np.sum(np.heaviside(x, 2.0))),
        ("multiply.outer", lambda x: np.multiply.outer(x, x)),
    ],
)
def test_a_function_without_a_derivative_refuses_a_traced_value_by_name(name, call):
    for transformation in (grad, lambda f: lambda x: jvp(f, (x,), (x,))):
        with pytest.raises(NoDerivative, match=rf"numpy\.{name} has no derivative rule"):
            transformation(call)(X)


def test_piecewise_constant_functions_of_a_traced_value_are_those_of_its_value():
    seen = []

    def f(x):
        seen.append(
            [
                np.floor(x).tolist(),
                np.argsort(x).tolist(),
                rnp.argsort(x, axis=None).tolist(),
                np.sign(x).tolist(),
                np.count_nonzero(x),
                bool(np.any(x > 1.0)),
                bool(np.all(x > 1.0)),
                np.searchsorted([0.0, 1.0], x).tolist(),
                np.isclose(x, 2.0).tolist(),
                np.allclose(x, x),
                np.isin([2.0, 3.0], x).tolist(),
                np.result_type(x, np.float32) == np.float64,
                np.array_equal(x, x),
            ]
        )
        return np.sum(np.floor(x) * x)

    below, order = np.floor(X).tolist(), np.argsort(X).tolist()
    assert grad(f)(X).tolist() == below
    expected = [
        below, order, order, np.sign(X).tolist(), 3, True, False, [2, 0, 2], [False, False, True], True, [True, False],
        True, True,
    ]  # fmt: skip
    assert seen == [expected]


def test_a_piecewise_constant_function_refuses_a_value_that_stands_for_many():
    with pytest.raises(BatchedValue, match="single"):
        vmap(lambda x: np.searchsorted(np.zeros(1), x))(X)
    # what is batched needs no single value
    assert vmap(lambda x: np.count_nonzero(x > 1.0))(np.stack([X, -X])).tolist() == [2, 1]
    assert vmap(lambda x: np.any(x > 2.1))(np.stack([X, -X])).tolist() == [False, True]
    assert vmap(lambda x: np.all(x > -2.1))(np.stack([X, -X])).tolist() == [False, True]
    assert vmap(np.floor)(np.stack([X, -X])).tolist() == [[1.0, -3.0, 2.0], [-2.0, 2.0, -2.0]]
    assert vmap(np.argsort)(np.stack([X, -X])).tolist() == np.argsort(np.stack([X, -X])).tolist()


def test_options_that_say_nothing_pass_and_others_are_refused_by_name():
    f = lambda x: np.sum(x, dtype=np.float64, out=None, where=True) + np.sum(np.add(x, 1.0, dtype="f8", where=True))
    assert grad(f)(X).tolist() == [2.0, 2.0, 2.0]
    assert grad(lambda x: np.sum(np.reshape(x, (3,), order="C", copy=False)))(X).tolist() == [1.0, 1.0, 1.0]
    for call, name in (
        (lambda x: np.sum(x, where=X > 0), "where"),
        (lambda x: np.max(x, initial=0.0), "initial"),
        (lambda x: np.add.reduce(x, where=X > 0), "where"),
        (lambda x: np.ravel(x, order="F"), "order"),
        (lambda x: rnp.sum(x, where=X > 0), "where"),
        (lambda x: x.sum(where=X > 0), "where"),
    ):
        with pytest.raises(NoDerivative, match=name):
            grad(lambda x, f=call: rnp.sum(f(x)))(X)
    with pytest.raises(NoDerivative, match="where"):
        grad(lambda x: np.where(x))(X)


def test_reductions_and_running_values_of_ufuncs_are_ours():
    assert grad(lambda x: np.multiply.reduce(x))(X).tolist() == [-5.0, 3.0, -3.75]
    assert grad(lambda x: np.add.accumulate(x)[-1])(X).tolist() == [1.0, 1.0, 1.0]
    assert grad(lambda x: np.multiply.accumulate(x)[1])(X).tolist() == [-2.5, 1.5, 0.0]
    assert grad(lambda x: np.maximum.reduce(np.stack([x, -x]), axis=0).sum())(X).tolist() == [1.0, -1.0, 1.0]


@pytest.mark.parametrize(
    "call",
    [
        lambda x: rnp.tile(x, -1),
        lambda x: rnp.repeat(x, -1),
        lambda x: rnp.repeat(x, [1, 2]),
        lambda x: rnp.repeat(x, 1.5),
        lambda x: rnp.rot90(rnp.outer(x, x), axes=(0, -2)),
        lambda x: rnp.pad(x, -1),
        lambda x: rnp.pad(x, 1.5),
        lambda x: rnp.concatenate([x, rnp.outer(x, x)]),
        lambda x: rnp.vstack([x, x[:2]]),
        lambda x: rnp.stack([x, x[:2]]),
        lambda x: rnp.split(x, 2),
        lambda x: rnp.array_split(x, 0),
        lambda x: rnp.vsplit(x, 1),
        lambda x: rnp.moveaxis(x, (0, 0), (0, 0)),
        lambda x: rnp.expand_dims(x, (0, 0)),
        lambda x: rnp.broadcast_arrays(x, x[:2]),
        lambda x: rnp.tensordot(x, x[:2], 1),
        lambda x: rnp.vecdot(x, x[:2]),
        lambda x: rnp.cross(x[:2], x[:2]),
        lambda x: rnp.convolve(x, x[:0]),
        lambda x: rnp.average(x, weights=x[:2]),
        lambda x: rnp.cumulative_sum(rnp.outer(x, x)),
    ],
)
def test_arguments_that_do_not_fit_a_traced_value_are_a_shape_error(call):
    with pytest.raises(ShapeError, match=r"expected|parts|fit|differ"):
        vjp(call, X)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: rnp.pad(x, 1, mode="linear_ramp"),
        lambda x: rnp.diff(x, n=-1),
        lambda x: rnp.meshgrid(x, indexing="yx"),
        lambda x: rnp.take(x, [0], mode="nearest"),
        lambda x: rnp.convolve(x, x, mode="half"),
        lambda x: rnp.sort(x, kind="bogo"),
        lambda x: rnp.linspace(x, x, num=-1),
    ],
)
def test_options_that_are_none_of_numpys_or_not_ours_are_named(call):
    with pytest.raises(InvalidInput, match="expected"):
        vjp(call, X)


def test_on_plain_arrays_functions_are_numpys_own_with_all_options():
    buffer = np.zeros(3)
    assert rnp.clip(X, 0, 1, out=buffer) is buffer
    assert rnp.pad(X, 2, mode="linear_ramp").tolist() == np.pad(X, 2, mode="linear_ramp").tolist()
    assert rnp.concatenate([X, X], dtype=np.float32).dtype == np.float32
    assert rnp.min(X, initial=-9.0) == -9.0
    assert rnp.any(X, where=X > 3) == np.False_
    # NumPy's sums are in another order than a matrix product's: a rounding each
    assert abs(rnp.vecdot(X, X) - X @ X) <= 2.0**-50


def test_a_traced_value_in_any_place_is_seen():
    for f in (
        lambda x: rnp.append(X, x),
        lambda x: rnp.concatenate([X, x]),
        lambda x: rnp.stack([[X, x], [x, X]]),
        lambda x: rnp.clip(X, x, x + 1),
        lambda x: rnp.clip(X, a_min=x),
        lambda x: rnp.dot(X, x),
        lambda x: rnp.convolve(X, v=x),
        lambda x: rnp.linspace(0.0, x, 3),
        lambda x: rnp.full_like(X, x[0]),
    ):
        assert np.any(jvp(lambda x, f=f: rnp.sum(f(x)), (X + 1,), (np.ones(3),))[1] != 0)
    assert vmap(lambda i: rnp.take(X, i))(np.array([2, 0])).tolist() == [2.0, 1.5]
    assert vmap(lambda i: rnp.take(X, [i, i]))(np.array([2, 0])).tolist() == [[2.0, 2.0], [1.5, 1.5]]


def test_plain_arrays_of_any_dtype_are_moved_and_ordered_as_numpy_does():
    for x in (np.array([3, 0, 255], np.uint8), np.array([True, False]), np.array([2, -5]), np.array([1 + 2j, 0j])):
        assert rnp.tile(x, (2, 1)).dtype == x.dtype
        assert (rnp.roll(x, 1) == np.roll(x, 1)).all()
        assert (rnp.pad(x, 1) == np.pad(x, 1)).all()
        assert (rnp.sort(x) == np.sort(x)).all()
        if x.dtype.kind != "c":
            assert rnp.min(x) == np.min(x)
            assert rnp.argmin(x) == np.argmin(x)
        assert (rnp.real(x) == np.real(x)).all()
        assert (rnp.imag(x) == np.imag(x)).all()
        assert (rnp.conj(x) == np.conj(x)).all()
        assert (rnp.nan_to_num(x) == np.nan_to_num(x)).all()


def test_what_depends_on_the_limits_of_a_dtype_runs_on_a_strict_array_api_library():
    for dtype in (np.float32, np.float64):
        x = np.array([np.nan, np.inf, -np.inf, 3], dtype)
        strict = array_api_strict.asarray(x)
        assert (np.asarray(rnp.nan_to_num(strict)) == np.nan_to_num(x)).all()
        assert np.array_equal(np.asarray(rnp.ldexp(strict, [-1, 2, 3, -2000])), np.ldexp(x, [-1, 2, 3, -2000]), True)
        assert (np.asarray(rnp.full_like(strict, 2)) == 2).all()
        assert np.asarray(rnp.nansum(strict[:1])) == 0


def test_arrays_are_made_of_traced_numbers():
    f = lambda a, b: rnp.sum(rnp.array([[a, 1.0], [b, a]]) * np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert f(2.0, 3.0) == 2 + 2 + 9 + 8
    assert grad(f, (0, 1))(2.0, 3.0) == (5.0, 3.0)
    assert grad(lambda a: rnp.sum(rnp.full((2, 3), a)))(2.0) == 6.0
    assert grad(lambda a: rnp.sum(rnp.full(4, a)))(2.0) == 4.0
    x = np.ones(2)
    assert not np.shares_memory(rnp.array(x), x)
    assert rnp.array([1, 2], dtype=np.float32).dtype == rnp.full(2, 1, dtype=np.float32).dtype == np.float32
    assert rnp.array(exact.asarray([1, 2]))[1] == 2
    assert [places.tolist() for places in rnp.where(X > 0)] == [[0, 2]]


def test_numbers_that_are_not_finite_are_replaced_without_a_derivative():
    x = np.array([np.nan, np.inf, -np.inf, 2.0], np.float32)
    assert (rnp.nan_to_num(x) == np.nan_to_num(x)).all()
    assert (rnp.nan_to_num(x, nan=3.0, posinf=1.0, neginf=-1.0) == np.nan_to_num(x, True, 3.0, 1.0, -1.0)).all()
    _, back = vjp(lambda x: np.nan_to_num(x) ** 2, np.array([np.nan, 1.0, 3.0]))
    assert back(np.ones(3))[0].tolist() == [0.0, 2.0, 6.0]
    assert rnp.nansum(x[[0, 3]]) == 2.0
    assert rnp.nanmean(np.array([[1.0, np.nan], [3.0, 5.0]]), axis=0).tolist() == [2.0, 5.0]
    assert rnp.nanmean(x[[0, 3]]).dtype == np.float32
    assert grad(lambda x: np.nanmean(x) ** 2)(np.array([1.0, np.nan, 3.0])).tolist() == [2.0, 0.0, 2.0]
    with np.errstate(invalid="ignore"):
        assert np.isnan(vjp(rnp.nanmean, x[:1])[0])


def test_arrays_like_another_have_its_dtype():
    x = np.arange(3, dtype=np.float32)
    for value in (2, 0.5, np.float64(0.5), -0.0, np.nan):
        found, expected = rnp.full_like(x, value), np.full_like(x, value)
        assert found.dtype == np.float32
        assert found.tobytes() == expected.tobytes()
    assert rnp.full_like(np.arange(3), 2.5).tolist() == np.full_like(np.arange(3), 2.5).tolist()
    assert grad(lambda v: np.sum(rnp.full_like(x, v)))(2.0) == 3.0
    assert np.signbit(vjp(lambda v: rnp.full_like(x, v), np.array(-0.0))[0]).all()
    assert grad(lambda x: np.sum(np.full_like(x, 2.0)))(x).tolist() == [0.0, 0.0, 0.0]
    assert (rnp.one_hot([[1], [0]], 2) == np.eye(2)[[[1], [0]]]).all()
    assert rnp.one_hot(1, 3, np.float32).dtype == np.float32
    assert rnp.one_hot(np.array([-1, 3]), 3).tolist() == [[0.0] * 3] * 2
    assert vmap(lambda i: rnp.one_hot(i, 2))(np.array([1, 0])).tolist() == [[0.0, 1.0], [1.0, 0.0]]


@pytest.mark.parametrize("a", [exact.asarray([[1, "1/2"], [3, 4]]), np.array([[1.0, 0.5], [3.0, 4.0]])])
@pytest.mark.parametrize(
    "make",
    [
        lambda a: np.eye(2, like=a),
        lambda a: np.identity(2, like=a),
        lambda a: np.array([[1, 2], [3, 4]], like=a),
        lambda a: np.asarray([1, 2], like=a),
        lambda a: np.full((2, 2), 7, like=a),
        lambda a: np.arange(2, like=a),
        lambda a: np.ones(2, like=a),
        lambda a: np.zeros((2, 2), like=a),
    ],
)
def test_what_is_made_like_a_traced_value_is_what_is_made_like_its_plain_value(make, a):
    made, seen = make(a), []

    def f(a):
        seen.append(make(a))
        return np.sum(seen[-1] @ a @ a)

    assert (grad(f)(a) == grad(lambda a: np.sum(made @ a @ a))(a)).all()
    assert (vmap(grad(f))(np.stack([a, a]))[1] == grad(f)(a)).all()
    for other in seen:
        assert type(other) is type(made) is type(a)
        assert (other == made).all()


def test_what_is_made_of_traced_numbers_keeps_their_derivatives():
    f = lambda a: np.sum(np.array([a[0], 5], like=a) * a)
    assert (grad(f)(exact.asarray([2, 3])) == exact.asarray([4, 5])).all()
