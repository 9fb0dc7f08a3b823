"""Functions on traced and exact values take arguments by NumPy's names and places, and its options or say why not."""

from __future__ import annotations

import inspect
import warnings
from copy import deepcopy

import numpy as np
import pytest
from helpers.calls import CALLS, FUNCTIONS, REFUSALS, SYMMETRIC, outcome
from helpers.kinds import KINDS
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import grad, jvp, stage, value_of, vjp, vmap
from refgrad.errors import NoDerivative, ShapeError
from refgrad.numpy import dispatch

X = np.array([[1.0, 2.0], [3.0, 5.0]])

CASTS = {
    "sum": lambda np, x, dtype: np.sum(x, dtype=dtype),
    "sum-positional": lambda np, x, dtype: np.sum(x, 0, dtype),
    "prod": lambda np, x, dtype: np.prod(x, axis=1, dtype=dtype),
    "mean": lambda np, x, dtype: np.mean(x, 0, dtype, keepdims=True),
    "var": lambda np, x, dtype: np.var(x, axis=0, dtype=dtype),
    "cumsum": lambda np, x, dtype: np.cumsum(x, dtype=dtype),
    "cumprod": lambda np, x, dtype: np.cumprod(x, 1, dtype),
    "cumulative_sum": lambda np, x, dtype: np.cumulative_sum(x, axis=0, dtype=dtype),
    "cumulative_prod": lambda np, x, dtype: np.cumulative_prod(x, axis=0, dtype=dtype, include_initial=True),
    "trace": lambda np, x, dtype: np.trace(x, dtype=dtype),
    "linalg.trace": lambda np, x, dtype: np.linalg.trace(x, dtype=dtype),
    "nansum": lambda np, x, dtype: np.nansum(x, dtype=dtype),
    "multiply": lambda np, x, dtype: np.multiply(x, x, dtype=dtype),
    "einsum": lambda np, x, dtype: np.einsum("ij,kj->ik", x, x, dtype=dtype),
    "concatenate": lambda np, x, dtype: np.concatenate([x, x], dtype=dtype),
    "stack": lambda np, x, dtype: np.stack([x, x], axis=1, dtype=dtype),
    "hstack": lambda np, x, dtype: np.hstack([x, x], dtype=dtype),
    "full_like": lambda np, x, dtype: np.full_like(x, x[0, 1], dtype=dtype),
    "ones_like": lambda np, x, dtype: np.ones_like(x, dtype) * x,
    "linspace": lambda np, x, dtype: np.linspace(x[0], x[1], 3, dtype=dtype),
}


@pytest.mark.parametrize("given", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASTS)
def test_a_dtype_is_a_cast_of_the_value_whose_transpose_casts_the_cotangent_back(name, given):
    f, x = CASTS[name], X.astype(given)
    for dtype in (np.float32, np.dtype("f8")):
        if name == "einsum" and dtype is np.float32:
            continue  # NumPy's casts only to what holds all numbers of x
        expected = f(np, x, dtype)
        _, plain_back = vjp(lambda x: f(rnp, x, None), X)
        gradient = plain_back(np.ones(expected.shape))[0]  # of small integers, exact in either dtype
        for namespace in (np, rnp):
            y, back = vjp(lambda x, np=namespace, dtype=dtype: f(np, x, dtype), x)
            assert y.dtype == expected.dtype
            assert np.array_equal(y, expected)
            found = back(np.ones_like(y))[0]
            assert found.dtype == given
            assert np.array_equal(found, gradient)
            tangent = jvp(lambda x, np=namespace, dtype=dtype: f(np, x, dtype), (x,), (np.ones_like(x),))[1]
            assert tangent.dtype == expected.dtype
            assert np.sum(tangent) == np.sum(gradient)
            assert vmap(lambda x, np=namespace, dtype=dtype: f(np, x, dtype))(x[None])[0].dtype == expected.dtype


def test_it_is_the_dtype_that_is_calculated_in():
    x = np.array([2.0**24, 1.0, -(2.0**24)], np.float32)
    big = np.array([2.0**100, 2.0**100, 2.0**-100], np.float32)
    for namespace in (np, rnp):
        assert vjp(lambda x, np=namespace: np.sum(x, dtype=np.float64), x)[0] == 1
        assert vjp(lambda x, np=namespace: np.cumsum(x, dtype="f8"), x)[0][2] == 1
        y, back = vjp(lambda x, np=namespace: np.prod(x, dtype=np.float64), big)
        assert y == 2.0**100
        with np.errstate(over="ignore"):
            assert back(y / y)[0].tolist() == [1.0, 1.0, np.inf]  # 2**200 is beyond float32
        assert vjp(lambda x, np=namespace: np.multiply(x[0], x[1], dtype=np.float64), big)[0] == 2.0**200
    assert vmap(lambda k: rnp.sum(k, dtype=np.int8))(np.full((1, 3), 100))[0] == 44  # of 300, as in NumPy


def test_new_arrays_of_traced_numbers_have_the_dtype_that_is_asked_for():
    for f in (
        lambda v: rnp.asarray(v, dtype=np.float32),
        lambda v: rnp.array([v, 1.0], dtype=np.float32),
        lambda v: rnp.full((2,), v, dtype=np.float32),
        lambda v: rnp.full(2, fill_value=v, dtype="f4"),
        lambda v: rnp.sum(v, dtype=np.float32),
    ):
        y, back = vjp(f, 2.0)
        assert y.dtype == np.float32
        assert back(np.ones_like(y))[0] == (2 if y.shape == (2,) and f(3.0)[1] == 3 else 1)
    assert rnp.zeros_like(X, dtype=np.int8).dtype == np.int8
    assert vjp(lambda x: rnp.zeros_like(x, dtype=np.float32), X)[0].dtype == np.float32


def test_a_dtype_that_would_lose_the_derivative_is_refused_and_so_is_any_for_exact_numbers():
    for f in (lambda x: np.sum(x, dtype=int), lambda x: rnp.prod(x, dtype="i4"), lambda x: rnp.asarray(x, dtype=bool)):
        with pytest.raises(NoDerivative, match="its derivative would be lost"):
            grad(lambda x, f=f: rnp.sum(f(x)))(X)
    x = KINDS["rationals"]([1, 2])
    for f in (rnp.sum, rnp.cumsum, rnp.zeros_like, rnp.asarray, lambda x, dtype: rnp.full(2, x[0], dtype=dtype)):
        with pytest.raises(NoDerivative, match="an exact array has no dtype"):
            f(x, dtype=np.float64)
    assert rnp.sum(x, dtype=None) == rnp.sum(x, dtype=x.dtype) == 3


@pytest.mark.parametrize(
    "call",
    [
        lambda x, out: np.exp(x, out=out),
        lambda x, out: np.exp(x, out),
        lambda x, out: np.add(out, x, out=out),
        lambda x, out: np.cumsum(x, axis=0, out=out),
        lambda x, out: np.cumsum(x, 0, None, out),
        lambda x, out: np.add.accumulate(x, out=out),
        lambda x, out: rnp.exp(x, out=out),
        lambda x, out: rnp.cumsum(x, axis=0, out=out),
        lambda x, out: rnp.clip(X, 0, 1, out=x),
        lambda x, out: x.cumsum(0, out=out),
        lambda x, out: np.einsum("ij->ij", x, out=out),
    ],
)
def test_a_place_for_the_result_is_refused_with_what_to_write_instead(call):
    out = np.zeros((2, 2))
    with pytest.raises(NoDerivative, match=r"out=\.\.\.\).*Write y = numpy\.\w+\(\.\.\.\) without out="):
        vjp(lambda x: call(x, out), X)
    assert not out.any()


def test_a_place_for_the_result_is_refused_for_exact_numbers_too():
    with pytest.raises(NoDerivative, match="and an exact one its exactness"):
        rnp.sum(KINDS["rationals"]([1, 2]), out=np.zeros(()))


OTHER = np.array([[2, 0, 0], [0, 1, 0], [0, 0, 1]])


def keyword_calls(name):
    """Pairs of a call as it stands in CALLS and the same by NumPy's names alone, where NumPy has names for all."""
    theirs, _ = FUNCTIONS[name]
    for label, call in CALLS.items():
        given = []
        call(lambda *args, given=given, **kwargs: given.append((args, kwargs)) or np.zeros(4), SYMMETRIC, OTHER)
        args, kwargs = given[-1]
        try:
            names = inspect.signature(theirs).bind(*args, **kwargs)
        except (TypeError, ValueError):
            continue
        kinds = {inspect.signature(theirs).parameters[key].kind for key in names.arguments}
        named = kinds <= {inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY}
        repeated = lambda f, x, y, args=args, kwargs=kwargs: f(*deepcopy(args), **kwargs)
        if named and outcome(theirs, repeated, None, None) is not None:
            yield label, args, kwargs, names.arguments


with warnings.catch_warnings(action="ignore"):
    REACHED = [
        name
        for name, (theirs, _) in FUNCTIONS.items()
        if theirs in dispatch._counterparts() and theirs not in (np.array, np.asarray) and any(keyword_calls(name))
    ]
"""What NumPy hands to the arrays it is given, and whose arguments have names."""


@pytest.mark.parametrize("name", REACHED)
def test_arguments_by_numpys_names_are_those_in_numpys_places(name):
    theirs, ours = FUNCTIONS[name]
    compared = 0

    def leaves(y):
        return [e for part in y for e in leaves(part)] if isinstance(y, (list, tuple)) else [value_of(y)]

    with warnings.catch_warnings(action="ignore"):
        calls = list(keyword_calls(name))
    for label, args, kwargs, names in calls:

        def f(x, args=args, kwargs=kwargs, names=names, label=label):
            nonlocal compared
            traced = lambda a: x if a is SYMMETRIC else [traced(e) for e in a] if isinstance(a, list) else a
            try:
                expected = leaves(theirs(*map(traced, args), **kwargs))
            except REFUSALS:  # an option that has no meaning for values with a derivative
                return x
            compared += 1
            arguments = {key: traced(a) for key, a in names.items()}
            for function in (theirs, ours):
                for a, b in zip(leaves(function(**arguments)), expected, strict=True):
                    assert np.array_equal(a, b), label
            return x

        with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            vjp(f, SYMMETRIC.astype(float))
    assert compared > 0, f"no call of numpy.{name} is understood on traced values"


def test_axes_that_are_exchanged_and_a_condition_may_be_named():
    for f in (
        lambda x: rnp.swapaxes(x, axis1=0, axis2=1),
        lambda x: np.swapaxes(a=x, axis1=0, axis2=1),
        lambda x: rnp.where(condition=X > 0, x=x.T, y=0.0),
    ):
        assert np.array_equal(vjp(f, X)[0], X.T)
        assert vjp(f, X)[1](np.array([[0.0, 1.0], [0.0, 0.0]]))[0].tolist() == [[0.0, 0.0], [1.0, 0.0]]
    assert rnp.where(condition=X > 1, x=X, y=0).tolist() == [[0.0, 2.0], [3.0, 5.0]]


def test_axes_of_a_transpose_that_are_no_permutation_are_named():
    for axes in (0, (0,), (0, 0), (1, 0, 1)):
        with pytest.raises(ShapeError, match=r"transpose: expected each of the 2 axes of shape \(2, 2\) once"):
            vjp(lambda x, axes=axes: np.transpose(x, axes), X)
        with pytest.raises(ShapeError, match="transpose: expected each of the 2 axes"):
            rnp.transpose(X, axes)
    assert vjp(lambda x: np.transpose(x, 0), X[0])[0].tolist() == [1.0, 2.0]


NUMBERS = ["sum", "prod", "max", "min", "any", "all", "ptp", "count_nonzero", "nansum", "nanmean"]
LINES = ["argmax", "argmin", "cumsum", "cumprod", "cumulative_sum", "argsort", "squeeze"]


@pytest.mark.parametrize("name", [*NUMBERS, *LINES, "mean", "var", "sort", "flip", "std", "average"])
def test_a_number_has_the_axes_that_numpy_gives_it(name):
    for axis in (0, -1, 1, (0,)):
        for x in (np.float64(2.0), np.array(2.0)):
            try:
                expected = getattr(np, name)(x, axis=axis)
            except (TypeError, ValueError):
                expected = None
            for call in (
                lambda x, axis=axis: getattr(np, name)(x, axis=axis),
                lambda x: getattr(rnp, name)(x, axis=axis),
            ):
                if expected is None:
                    with pytest.raises((TypeError, ValueError)):
                        vjp(call, x)
                else:
                    seen = []
                    vjp(lambda x, call=call, seen=seen: seen.append(value_of(call(x))) or x, x)
                    assert np.array_equal(seen[0], expected)
                    assert np.shape(seen[0]) == np.shape(expected)


def test_a_traced_number_has_numpys_dtype_and_stays_weak():
    x = np.array([1.0, 2.0], np.float32)

    def f(a):
        assert a.dtype == np.float64
        assert a.dtype.kind == "f"
        assert np.issubdtype(a.dtype, np.floating)
        assert (x * a).dtype == np.float32
        assert np.sum(x * a, dtype=a.dtype).dtype == np.float64
        assert (x**a).dtype == rnp.where(x > 1, x, a).dtype == rnp.maximum(x, a).dtype == np.float32
        assert rnp.full_like(x, a).dtype == rnp.clip(x, 0.0, a).dtype == np.float32
        return np.sum(x * a)

    assert grad(f)(2.0) == 3.0
    assert grad(grad(lambda a: f(a) * a))(2.0) == 6.0
    assert jvp(f, (2.0,), (1.0,))[1] == 3.0
    assert stage(f)(2.0) == 6.0
    assert vmap(lambda x, a: x * a)(x, np.ones(2, np.float32)).dtype == np.float32


def test_a_copy_is_refused_where_it_would_be_none():
    x = array_api_strict.asarray(X)
    assert vjp(lambda x: np.reshape(x, 4, copy=True), X)[0].tolist() == X.ravel().tolist()
    assert rnp.reshape(KINDS["rationals"]([1, 2]), (2, 1), copy=True).shape == (2, 1)
    assert rnp.reshape(x, 4, copy=None).shape == (4,)
    with pytest.raises(NoDerivative, match="copy"):
        rnp.reshape(x, 4, copy=True)
