"""A derivative is that of the numbers that were used: arrays changed in between give it all the same, or an error."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from helpers.strict import array_api_strict as strict

import refgrad.numpy as rnp
from refgrad import (
    checkpoint,
    custom_rule,
    debug,
    exact,
    grad,
    hessian,
    hvp,
    jacrev,
    jvp,
    linearize,
    value_and_grad,
    value_of,
    vjp,
    vmap,
)
from refgrad.autodiff.moment import COPIED
from refgrad.errors import ChangedValue

X = np.array([1.0, -2.0, 0.5])


def running(x, dtype=float):
    """A sum over a momentum that is updated in place: 0, 1, 2.5 times x."""
    m, total = np.zeros(3, dtype), 0.0
    for k in range(3):
        m *= 0.5
        m += k
        total = total + rnp.sum(x * m)
    return total


def of_squares(x):
    """The same times x: its gradient is 7 x, its Hessian 7 I."""
    m, total = np.zeros(3), 0.0
    for k in range(3):
        m *= 0.5
        m += k
        total = total + rnp.sum(x * m * x)
    return total


def test_a_running_buffer_counts_as_it_was_at_each_use():
    assert (grad(running)(X) == 3.5).all()
    assert grad(lambda x: running(x, np.float32))(X.astype(np.float32)).dtype == np.float32
    value, g = value_and_grad(running)(X)
    assert (value, *g) == (running(X), 3.5, 3.5, 3.5)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda x, v: jvp(grad(of_squares), (x,), (v,))[1],
        lambda x, v: grad(lambda x: jvp(of_squares, (x,), (v,))[1])(x),
        lambda x, v: grad(lambda x: rnp.sum(grad(of_squares)(x) * v))(x),
        lambda x, v: hvp(of_squares, x, v),
        lambda x, v: hessian(of_squares)(x) @ v,
        lambda x, v: jacrev(grad(of_squares))(x) @ v,
        lambda x, v: linearize(grad(of_squares), x)[1](v),
        lambda x, v: vmap(lambda x: hvp(of_squares, x, v))(np.stack([x, x]))[1],
        lambda x, v: grad(lambda x: rnp.sum(vmap(grad(of_squares))(rnp.stack([x, x])) * v) / 2)(x),
    ],
)
def test_it_does_so_at_every_level(derivative):
    v = np.array([1.0, 2.0, -4.0])
    assert (derivative(X, v) == 7 * v).all()


CHANGES = {
    "product": (lambda x, a: x * a, np.array([2.0, 3.0, 4.0])),
    "quotient": (lambda x, a: x / a, np.array([2.0, 4.0, 8.0])),
    "sum and product": (lambda x, a: (x + a) * a, np.array([2.0, 3.0, 4.0])),
    "matrix product": (lambda x, a: a @ x, np.arange(6.0).reshape(2, 3)),
    "product with a column": (lambda x, a: a[:, 1] * x, np.arange(9.0).reshape(3, 3)),
    "product with a transpose": (lambda x, a: a.T @ x, np.arange(9.0).reshape(3, 3)),
    "mask": (lambda x, a: rnp.where(a, x, 0), np.array([True, False, True])),
    "indices": (lambda x, a: rnp.take(x, a), np.array([0, 2, 2])),
    "indices of lines": (lambda x, a: rnp.take_along_axis(x, a, axis=0), np.array([0, 2, 2])),
    "sum of products": (lambda x, a: rnp.einsum("i,ij->j", x, a), np.arange(6.0).reshape(3, 2)),
    "maximum": (lambda x, a: rnp.maximum(x, a), np.array([0.0, 0.0, 0.0])),
    "power": (lambda x, a: rnp.exp(x) ** a, np.array([2.0, 3.0, 0.5])),
    "solution": (lambda x, a: rnp.linalg.solve(a, x), np.diag([1.0, 2.0, 4.0])),
    "length": (lambda x, a: rnp.hypot(x, a), np.array([1.0, 2.0, 3.0])),
    "kept by a checkpoint": (lambda x, a: checkpoint(lambda x, a: x * a)(x, a), np.array([2.0, 3.0, 4.0])),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("use", ["gradient", "pullback", "pushforward"])
def test_every_use_of_a_captured_array_is_remembered(name, use):
    f, a = CHANGES[name]
    truth = jacrev(lambda x: f(x, a))(X)
    changing = a.copy(order="K")

    def spoil():
        changing[...] = ~changing if changing.dtype.kind == "b" else changing[..., ::-1] + (changing.dtype.kind == "f")

    if use == "gradient":

        def g(x):
            y = f(x, changing)
            spoil()
            return rnp.sum(y * np.arange(1.0, len(y) + 1))

        found, expected = grad(g)(X), np.arange(1.0, len(truth) + 1) @ truth
    elif use == "pullback":
        _, pullback = vjp(lambda x: f(x, changing), X)
        spoil()
        found, expected = pullback(np.eye(len(truth))[1])[0], truth[1]
    else:
        _, pushforward = linearize(lambda x: f(x, changing), X)
        spoil()
        found, expected = pushforward(np.eye(3)[2]), truth[:, 2]
    assert np.array_equal(found, expected)
    assert not np.array_equal(jacrev(lambda x: f(x, changing))(X), truth)


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, x: grad(f)(x),
        lambda f, x: jvp(grad(f), (x,), (x,))[1],
        lambda f, x: vmap(grad(f))(x[None])[0],
        lambda f, x: vjp(f, x)[1](1.0)[0],
        lambda f, x: linearize(grad(f), x)[1](X),
        lambda f, x: hessian(f)(x) @ np.ones(3),
    ],
)
def test_an_argument_that_the_function_changes_by_another_name_counts_as_it_was(derivative):
    def f(x):
        y = rnp.sum(x * x * x)
        mine[:] = 0.0
        return y

    mine = X.copy()
    found = derivative(f, mine)
    assert (mine == 0.0).all()
    mine = X.copy()
    assert (found == derivative(lambda x: rnp.sum(x * x * x), X)).all()
    assert (found != 0.0).all()


def test_arrays_of_exact_numbers_and_of_other_libraries_are_remembered_too():
    a = exact.asarray([2, 3])

    def f(x):
        y = x * a
        a[0] = 7
        return rnp.sum(y)

    assert exact.to_fractions(grad(f)(exact.asarray([1, 1]))).tolist() == [2, 3]
    b = strict.asarray([2.0, 3.0])

    def g(x):
        y = x * b
        b[0] = 7.0
        return rnp.sum(y)

    assert np.asarray(grad(g)(strict.asarray([1.0, 1.0]))).tolist() == [2.0, 3.0]


def test_what_value_of_returns_is_a_copy():
    def f(x):
        y = np.exp(x)
        value_of(y)[:] = 0.0
        return np.sum(y)

    assert (grad(f)(X) == np.exp(X)).all()


def test_an_auxiliary_result_that_is_changed_before_the_pullback_is_a_copy():
    _, pullback, y = vjp(lambda x: (lambda y: (y * y, y))(np.exp(x)), X, has_aux=True)
    y[:] = 0.0
    assert (pullback(np.ones(3))[0] == vjp(lambda x: np.exp(x) * np.exp(x), X)[1](np.ones(3))[0]).all()


def test_arguments_and_results_of_a_function_with_rules_are_remembered():
    buffer = np.zeros(3)

    @custom_rule(jvp=lambda y, xs, ts: 2 * y * ts[0] / xs[0], vjp=lambda y, xs, u: (2 * y * u / xs[0],))
    def square(x):
        buffer[:] = x * x
        return buffer

    def f(x):
        y = square(x)
        return np.sum(y) + np.sum(square(2 * x))

    assert (grad(f)(X) == 10 * X).all()


LARGE = COPIED // 8 + 1


def shuffle(a):
    a[[0, 1]] = a[[1, 0]]


def reverse(a):
    a[:] = a[::-1].copy()


def smallest(a):
    a[-1] = np.nextafter(a[-1], np.inf)


def negate_zero(a):
    a[7] = -0.0


@pytest.mark.parametrize("change", [shuffle, reverse, smallest, negate_zero])
@pytest.mark.parametrize("size", [LARGE, 3 * LARGE + 5])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_large_array_that_changed_is_an_error_that_names_its_use(change, size, dtype):
    a = np.arange(1.0, 2 * size + 1).astype(dtype)
    a[7] = 0.0

    def f(x, touch):
        y = x * a
        if touch:
            change(a)
        return np.sum(y)

    x = np.float64(2.0)
    assert grad(f)(x, False) == a.sum(dtype=np.float64)
    with pytest.raises(ChangedValue, match=rf"shape \({2 * size},\) was changed in place after mul had used it"):
        grad(f)(x, True)


def test_inside_debug_the_error_names_the_line():
    a, lines = np.ones(LARGE), []

    def f(x):
        lines.append(f"{__file__}:{inspect.currentframe().f_lineno + 1}")
        y = x * a
        a[0] = 2.0
        return np.sum(y)

    with debug(), pytest.raises(ChangedValue) as error:
        grad(f)(np.float64(1.0))
    assert lines[0] in str(error.value)


@pytest.mark.parametrize("layout", ["rows first", "columns first", "every second column", "labels"])
def test_large_arrays_of_every_layout_are_watched(layout):
    n = 400
    a = {
        "rows first": np.ones((n, n)),
        "columns first": np.ones((n, n), order="F"),
        "every second column": np.ones((n, 2 * n))[:, ::2],
        "labels": np.zeros((n, n), dtype=np.int64),
    }[layout]
    f = (lambda x: rnp.take_along_axis(x, a, axis=1)) if layout == "labels" else (lambda x: a @ x)
    _, pullback = vjp(f, np.ones((n, n)))
    pullback(np.ones((n, n)))
    a[n - 1, n - 2] += 1
    for _ in range(2):
        with pytest.raises(ChangedValue, match=r"vjp\(.*shape \(400, 400\)"):
            pullback(np.ones((n, n)))
    a[n - 1, n - 2] -= 1
    pullback(np.ones((n, n)))
    _, pushforward = linearize(f, np.ones((n, n)))
    a[0, 0] += 1
    with pytest.raises(ChangedValue, match="linearize"):
        pushforward(np.ones((n, n)))


def test_large_arrays_that_change_after_the_derivative_or_before_the_use_are_none_of_it():
    a = np.ones(LARGE)

    def f(x):
        a[:] = 2.0
        return np.sum(x * a)

    for _ in range(2):
        assert grad(f)(np.float64(1.0)) == 2 * LARGE
        a[:] = 1.0


def test_a_run_inside_another_uses_the_sums_of_the_same_moment_and_no_older_ones():
    a = np.ones(LARGE)

    def f(x):
        y = np.sum(a) * x  # which keeps no array
        first = x * a
        a[0] += 1.0
        return np.sum(first + x * a) + y

    for derivative in (grad, hessian, lambda f: grad(grad(f))):
        a[:] = 1.0
        with pytest.raises(ChangedValue, match="mul"):
            derivative(f)(np.float64(1.0))

    def g(x):
        a[:] = 2.0  # before each use
        return np.sum((x * a) * (x * a))

    for derivative in (hessian, lambda f: grad(grad(f))):
        a[:] = 1.0
        assert derivative(g)(np.float64(1.0)) == 8 * LARGE
