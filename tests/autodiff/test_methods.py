"""A traced array has the methods and operators of a plain one: its values, and the derivatives that belong to them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import grad, jvp, vjp, vmap
from refgrad.errors import NoDerivative, TracedAssignment

A = np.array([[1.0, 2.0, 4.0], [8.0, 16.0, 32.0]])
V = np.array([[1.0, -1.0, 3.0], [0.0, 2.0, 5.0]])

LINEAR = {
    "T": lambda x: x.T,
    "mT": lambda x: x.mT,
    "sum()": lambda x: x.sum(),
    "sum(axis)": lambda x: x.sum(0),
    "sum(keepdims)": lambda x: x.sum(axis=1, keepdims=True),
    "mean()": lambda x: x.mean(),
    "mean(axis)": lambda x: x.mean(1),
    "mean(keepdims)": lambda x: x.mean(axis=0, keepdims=True),
    "reshape(numbers)": lambda x: x.reshape(3, 2),
    "reshape(tuple)": lambda x: x.reshape((6, 1)),
    "reshape(number)": lambda x: x.reshape(-1),
    "reshape(axis of one)": lambda x: x.reshape(1, 6),
    "ravel": lambda x: x.ravel(),
    "flatten": lambda x: x.flatten(),
    "transpose()": lambda x: x.transpose(),
    "transpose(numbers)": lambda x: x.reshape(1, 2, 3).transpose(1, 2, 0),
    "transpose(tuple)": lambda x: x.reshape(1, 2, 3).transpose((1, 2, 0)),
    "transpose(number)": lambda x: x.ravel().transpose(0),
    "trace": lambda x: x[:, 1:].trace(),
    "dot": lambda x: x.dot(A.T),
    "@": lambda x: x @ A.T,
    "@ from the right": lambda x: A.T @ x,
    "copy": lambda x: x.copy(),
    "copy.copy": lambda x: copy.copy(x),
    "copy.deepcopy": lambda x: copy.deepcopy(x),
    "+x": lambda x: +x,
    "-x": lambda x: -x,
    "x * 3": lambda x: x * 3,
    "3 * x": lambda x: 3 * x,
    "x / 4": lambda x: x / 4,
    "len": lambda x: x * len(x),
    "size": lambda x: x * x.size,
    "ndim": lambda x: x * x.ndim,
    "iteration": lambda x: next(iter(x)) + sum(x),
    "cumsum()": lambda x: x.cumsum(),
    "cumsum(axis)": lambda x: x.cumsum(axis=0),
    "diagonal": lambda x: x.diagonal(1),
    "repeat": lambda x: x.repeat(2, axis=1),
    "squeeze": lambda x: x.reshape(2, 1, 3).squeeze(1),
    "swapaxes": lambda x: x.swapaxes(0, -1),
    "take": lambda x: x.take([0, 5]),
    "conj": lambda x: x.conj(),
    "conjugate": lambda x: x.conjugate(),
    "astype": lambda x: x.astype(np.float32),
}
OTHERS = {
    "max()": (lambda x: x.max(), 5.0),
    "max(axis)": (lambda x: x.max(0), V[1]),
    "max(keepdims)": (lambda x: x.max(axis=1, keepdims=True), V[:, 2:]),
    "min()": (lambda x: x.min(), 1.0),
    "min(axis)": (lambda x: x.min(1), V[:, 0]),
    "min(keepdims)": (lambda x: x.min(axis=0, keepdims=True), V[:1]),
    "prod": (lambda x: x.prod(axis=1), [8.0 - 4 + 6, 512.0 + 640]),
    "cumprod": (lambda x: x.cumprod(1)[:, 1], [1.0, 16.0]),
    "var": (lambda x: x[:, :2].var(axis=1), (V[:, 1] - V[:, 0]) * (A[:, 1] - A[:, 0]) / 2),
    "var(ddof)": (lambda x: x[:, :2].var(1, ddof=1), (V[:, 1] - V[:, 0]) * (A[:, 1] - A[:, 0])),
    "std": (lambda x: x[:, :2].std(axis=1), (V[:, 1] - V[:, 0]) / 2),
    "clip": (lambda x: x.clip(2, 16), np.where((A >= 2) & (A <= 16), V, 0)),
    "round": (lambda x: (x / 3).round(), 0 * V),
    "argmax": (lambda x: x[:, x.argmax(axis=1)], V[:, [2, 2]]),
    "argmin": (lambda x: x[:, x.argmin(1)], V[:, [0, 0]]),
    "argsort": (lambda x: x[0][(-x[0]).argsort()], V[0, ::-1]),
    "any and all": (lambda x: x * bool(x.any()) * bool((x * 0).all()), 0 * V),
    "x + 1": (lambda x: x + 1, V),
    "1 + x": (lambda x: 1 + x, V),
    "x - 1": (lambda x: x - 1, V),
    "1 - x": (lambda x: 1 - x, -V),
    "32 / x": (lambda x: 32 / x, -32 * V / A**2),
    "x ** 2": (lambda x: x**2, 2 * A * V),
    "abs": (lambda x: abs(8 - x), np.sign(A - 8) * V),
    "x // 3": (lambda x: x // 3 + 7 // x + x, V),
    "real and imag": (lambda x: x.real - x.imag, V),
    "trace(offset)": (lambda x: x.trace(1), V[0, 1] + V[1, 2]),
    "astype(copy)": (lambda x: x.astype(np.float64, copy=False), V),
}


def same(a, b):
    return np.shape(a) == np.shape(b) and np.asarray(a).dtype == np.asarray(b).dtype and bool(np.all(a == b))


@pytest.mark.parametrize("f", [pytest.param(f, id=name) for name, f in LINEAR.items()])
def test_a_linear_method_does_to_the_tangent_what_it_does_to_the_value(f):
    value, tangent = jvp(f, (A,), (V,))
    assert same(value, f(A))
    assert same(tangent, f(V))


@pytest.mark.parametrize(("f", "derivative"), [pytest.param(*pair, id=name) for name, pair in OTHERS.items()])
def test_a_method_that_is_not_linear_has_the_value_of_the_plain_one_and_its_derivative(f, derivative):
    value, tangent = jvp(f, (A,), (V,))
    assert same(value, f(A))
    assert same(tangent, derivative)


def test_comparisons_of_traced_arrays_are_plain_arrays_with_numpys_answers():
    def f(x):
        found = [x < 4, x <= 4, x > 4, x >= 4, x == 4, x != 4, x > 8, x < 8]
        truth = [A < 4, A <= 4, A > 4, A >= 4, A == 4, A != 4, A > 8, A < 8]
        assert all(same(a, b) for a, b in zip(found, truth, strict=True))
        return x

    jvp(f, (A,), (V,))


def test_a_number_has_neither_length_nor_items():
    def f(x):
        assert (x.shape, x.ndim, x.size, x.dtype) == ((), 0, 1, float)
        with pytest.raises(TypeError, match="no first axis"):
            len(x)
        return x

    jvp(f, (2.0,), (1.0,))


def test_a_traced_array_prints_the_transformation_and_its_value():
    seen = []

    def f(x):
        seen.append(repr(x))
        return x

    jvp(f, (2.0,), (1.0,))
    assert seen == ["Traced<jvp>(2.0)"]


def test_a_formatted_value_reads_as_the_plain_one():
    lines = []
    grad(lambda x: (lines.append(f"{x:.2f}, {x:>6.1e}, {x}"), x)[1])(0.125)
    assert lines == ["0.12, 1.2e-01, Traced<grad>(0.125)"]


def test_a_shape_may_be_a_number():
    assert vjp(lambda x: np.broadcast_to(x, 3), 2.0)[1](np.ones(3))[0] == 3.0


def test_an_assignment_into_a_plain_array_says_how_to_collect_values():
    def f(x):
        y = np.zeros(2)
        y[0] = x
        return y[0]

    with pytest.raises(TracedAssignment, match=r"refgrad\.numpy\.stack"):
        grad(f)(1.0)
    with pytest.raises(NoDerivative, match=r"refgrad\.numpy\.take\(a, x, axis=0\)"):
        vmap(lambda i: np.arange(3.0)[i])(np.array([0, 2]))


def test_a_value_that_stands_for_many_prints_all_of_them():
    seen = []
    vmap(lambda x: seen.append(repr(x)) or x)(np.array([2.0, 3.0]))
    assert seen == ["Traced<vmap>(each of array([2., 3.]))"]


@pytest.mark.parametrize("transformation", [grad, vmap])
def test_a_python_number_is_not_taken_of_a_traced_value_in_silence(transformation):
    for take in (lambda x: x.item(), float, int):
        with pytest.raises(NoDerivative, match="would drop its derivative"):
            transformation(lambda x, take=take: take(rnp.sum(x)) * x)(A[0])


def test_conditions_of_examples_combine_with_a_plain_one_on_either_side():
    for plain in (False, True):
        for f in (lambda a, b: a & b, lambda a, b: a | b, lambda a, b: a ^ b):
            for order in (lambda a, b: (a, b), lambda a, b: (b, a)):
                found = vmap(lambda x, f=f, plain=plain, order=order: f(*order(x > 4, plain)))(A[0] + 1)
                assert found.tolist() == [f(bool(a > 4), plain) for a in A[0] + 1]
