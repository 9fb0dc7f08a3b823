"""Recomputed, linearised and cut derivatives: equal to the plain ones, to any order, and as cheap as they promise."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import checkpoint, exact, grad, hessian, hvp, jacfwd, jvp, linearize, stage, stop_gradient, vjp, vmap
from refgrad.errors import EscapedTracer, NoDerivative, ShapeError
from refgrad.linalg import conjugate_gradient

some = settings(max_examples=10, deadline=None, derandomize=True, database=None)
numbers = st.lists(st.integers(-3, 3), min_size=3, max_size=3)


def same(a, b):
    return np.shape(a) == np.shape(b) and bool(np.all(a == b))


def layer(p, x):
    return {"y": p["w"] * x**3 + p["b"] / (1 + x * x), "s": rnp.sum(x * x)}


def plain(p, x):
    first = layer(p, x)
    second = layer(p, first["y"] / 4)
    return rnp.sum(second["y"]) * first["s"] + second["s"]


def recomputed(p, x):
    first = checkpoint(layer)(p, x)
    second = checkpoint(layer)(p, first["y"] / 4)
    return rnp.sum(second["y"]) * first["s"] + second["s"]


@some
@given(numbers, numbers, numbers)
def test_a_checkpointed_function_has_the_derivatives_of_the_plain_one_in_every_composition(w, b, x):
    p = {"w": exact.asarray(w), "b": exact.asarray(b)}
    x, v = exact.asarray(x), exact.asarray([1, -2, 1])
    P = {"w": np.stack([p["w"], p["b"]]), "b": np.stack([p["b"], p["w"]])}
    for derivative in (
        lambda f: f(p, x),
        lambda f: grad(f)(p, x)["b"],
        lambda f: grad(f, 1)(p, x),
        lambda f: jvp(lambda x: f(p, x), (x,), (v,))[1],
        lambda f: hvp(lambda x: f(p, x), x, v),
        lambda f: hessian(f, 1)(p, x),
        lambda f: jacfwd(grad(f, 1), 1)(p, x),
        lambda f: grad(lambda x: grad(f, 1)(p, x) @ v)(x),
        lambda f: grad(lambda x: jvp(lambda x: f(p, x), (x,), (v,))[1])(x),
        lambda f: grad(lambda x: hvp(lambda x: f(p, x), x, v) @ v)(x),
        lambda f: linearize(grad(f, 1), p, x)[1](p, v),
        lambda f: vmap(grad(f, 1), (0, None))(P, x),
        lambda f: grad(lambda x: rnp.sum(vmap(f, (0, None))(P, x)))(x),
        lambda f: vmap(lambda q: hvp(lambda x: f(q, x), x, v))(P),
        lambda f: grad(checkpoint(f), 1)(p, x),
    ):
        assert same(derivative(recomputed), derivative(plain))


def test_the_inside_is_computed_once_for_the_value_and_once_for_each_sweep():
    calls = []

    def f(x):
        calls.append(1)
        return x**3, x**2

    y, pullback = vjp(checkpoint(f), np.array([2.0]))
    assert len(calls) == 1
    assert pullback((np.ones(1), np.ones(1)))[0].tolist() == [16.0]
    assert len(calls) == 2
    assert pullback((np.zeros(1), np.ones(1)))[0].tolist() == [4.0]
    assert len(calls) == 3
    assert [a.tolist() for a in y] == [[8.0], [4.0]]


@pytest.mark.parametrize(
    ("derivative", "times"),
    [
        (lambda f, x: grad(lambda x: rnp.sum(vmap(f)(x)))(x), 2),
        (lambda f, x: grad(lambda x: rnp.sum(jvp(f, (x,), (x,))[1]))(x), 2),
        (lambda f, x: vmap(grad(lambda y: rnp.sum(f(y))))(x), 2),
        (lambda f, x: grad(lambda x: rnp.sum(grad(lambda y: rnp.sum(f(y)))(x)))(x), 3),
        (lambda f, x: grad(lambda x: rnp.sum(vjp(f, x)[0]))(x), 2),
    ],
    ids=["reverse of batch", "reverse of forward", "batch of reverse", "reverse of reverse", "reverse of a value"],
)
def test_nothing_is_kept_at_any_level_so_that_every_sweep_computes_the_inside_again(derivative, times):
    calls = []

    def f(x):
        calls.append(1)
        return rnp.tanh(x) ** 2

    x = np.ones((2, 3))
    found = derivative(checkpoint(f), x)
    counted = len(calls)
    assert same(found, derivative(lambda x: rnp.tanh(x) ** 2, x))
    assert counted == times


def test_a_result_returned_twice_is_pulled_back_twice():
    _, pullback = vjp(lambda x: (x * x,) * 2, np.array([3.0]))
    assert pullback((np.ones(1), np.ones(1)))[0].tolist() == [12.0]

    def twice(x):
        z = x * x
        return z, z

    assert vjp(twice, np.array([3.0]))[1]((np.ones(1), np.ones(1)))[0].tolist() == [12.0]
    assert vjp(checkpoint(twice), np.array([3.0]))[1]((np.ones(1), np.ones(1)))[0].tolist() == [12.0]


def test_what_is_not_an_argument_is_an_error_and_a_constant_is_not():
    x, c = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    assert grad(lambda x: checkpoint(lambda y: rnp.sum(y * c))(x))(x).tolist() == [3.0, 4.0]
    with pytest.raises(NoDerivative, match=r"checkpoint\(.*not among its arguments"):
        grad(lambda x: checkpoint(lambda y: rnp.sum(y * x))(2 * x))(x)
    inner = lambda x: grad(lambda z: rnp.sum(checkpoint(lambda y: y * x)(z)))(x)
    with pytest.raises(NoDerivative, match="not among its arguments"):
        grad(lambda x: rnp.sum(inner(x) * checkpoint(lambda y: y * x)(2 * x)))(x)
    closed = lambda w: checkpoint(lambda a: a * w)(w)
    for use in (
        lambda: jvp(closed, (3.0,), (1.0,)),
        lambda: vmap(closed)(x),
        lambda: grad(lambda a: grad(lambda w: checkpoint(lambda b: b * w)(a))(2.0))(3.0),
        lambda: jvp(lambda a: grad(lambda w: checkpoint(lambda b: b * w)(a))(2.0), (3.0,), (1.0,)),
        lambda: grad(lambda a: jvp(lambda w: checkpoint(lambda b: b * w)(a), (2.0,), (1.0,))[1])(3.0),
        lambda: vmap(lambda a: grad(lambda w: checkpoint(lambda b: b * w)(a))(2.0))(x),
        lambda: grad(lambda a: rnp.sum(vmap(lambda w: checkpoint(lambda b: b * w)(a))(x)))(3.0),
    ):
        with pytest.raises(NoDerivative, match="not among its arguments"):
            use()
    kept = []
    grad(lambda x: kept.append(x) or rnp.sum(x))(x)
    with pytest.raises(EscapedTracer):
        checkpoint(lambda y: y)(kept[0])


def test_labels_flags_and_functions_may_be_arguments_of_a_checkpointed_function():
    w, i = np.array([1.0, 2.0, 3.0]), np.array([1, 1])
    loss = lambda w, i, power, g: g(w[i] ** int(power))
    f = lambda w: checkpoint(loss)(w, i, "2", rnp.sum)
    assert grad(f)(w).tolist() == [0, 8, 0]
    assert hvp(f, w, w).tolist() == [0, 8, 0]
    assert jvp(f, (w,), (w,))[1] == 16
    assert vmap(grad(f))(np.stack([w, -w])).tolist() == [[0, 8, 0], [0, -8, 0]]
    assert linearize(f, w)[1](w) == 16
    both = lambda w, b: rnp.sum(checkpoint(lambda i, w, b: w[i] * b)(i, w, b))
    assert [g.tolist() for g in grad(both, (0, 1))(w, 2.0 * w[:2])] == [[0, 6, 0], [2, 2]]


def test_results_that_are_no_real_numbers_pass_through_a_checkpointed_function():
    def f(x, k):
        return {"y": x**k, "count": len(x), "largest": rnp.argmax(x), "mask": x > 0, "none": None}

    g = checkpoint(f)
    x = np.array([2.0, -3.0])
    seen = []

    def loss(x):
        out = g(x, 3)
        seen.append([type(out["count"]), out["largest"], out["none"], out["mask"].tolist()])
        return rnp.sum(rnp.where(out["mask"], out["y"], 10 * out["y"])) * out["count"] + out["y"][out["largest"]]

    assert grad(loss)(x).tolist() == [36.0, 540.0]
    assert hvp(loss, x, np.ones(2)).tolist() == [36.0, -360.0]
    assert jvp(loss, (x,), (np.ones(2),))[1] == 576.0
    assert linearize(grad(loss), x)[1](np.ones(2)).tolist() == [36.0, -360.0]
    assert seen[0] == seen[1] == [int, 0, None, [True, False]]
    batched = lambda x: rnp.sum(rnp.where(g(x, 3)["mask"], g(x, 3)["y"], 0)) * g(x, 3)["count"]
    assert vmap(grad(batched))(np.stack([x, -x])).tolist() == [[24.0, 0.0], [0.0, 54.0]]
    found = vmap(lambda x: g(x, 2))(np.stack([x, -x]))
    assert (found["largest"].tolist(), found["count"].tolist(), found["none"]) == ([0, 1], [2, 2], None)
    assert grad(lambda x: rnp.sum(vmap(lambda x: g(x, 3)["y"])(np.array([[1.0], [2.0]]) * x)))(x).tolist() == [
        108.0,
        243.0,
    ]


def test_a_program_of_a_checkpointed_function_computes_what_it_computes():
    p, x = {"w": np.array([1.0, 2.0]), "b": np.array([3.0, 4.0])}, np.array([0.5, -1.0])
    for derivative in (recomputed, grad(recomputed, 1), lambda p, x: hvp(lambda p: recomputed(p, x), p, p)["w"]):
        assert stage(derivative, p, x)(p, 2 * x).tolist() == derivative(p, 2 * x).tolist()
    rows = lambda X: vmap(grad(recomputed, 1), (None, 0))(p, X)
    X = np.stack([x, 2 * x])
    assert stage(rows, X)(X).tolist() == rows(X).tolist()


def peak(f, x):
    f(x)
    tracemalloc.start()
    f(x)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size / x.nbytes


def test_sixty_four_steps_in_eight_segments_keep_less_than_twenty_steps():
    def step(x):
        return x - rnp.tanh(x) / 8

    def steps(count, x):
        for _ in range(count):
            x = step(x)
        return x

    def in_segments(x):
        for _ in range(8):
            x = checkpoint(lambda x: steps(8, x))(x)
        return rnp.sum(x)

    x = np.linspace(-1.0, 1.0, 200_000)
    one = peak(grad(lambda x: rnp.sum(steps(1, x))), x)
    whole = peak(grad(lambda x: rnp.sum(steps(64, x))), x)
    segments = peak(grad(in_segments), x)
    assert whole > 64 * 2  # each step keeps at least tanh(x) and its quotient
    assert segments < 20 * one
    assert np.abs(grad(in_segments)(x) - grad(lambda x: rnp.sum(steps(64, x)))(x)).max() <= 1e-14


@some
@given(numbers, numbers)
def test_a_linearised_function_pushes_every_direction_forward_as_the_tangent_rules_do(x, v):
    x, v = exact.asarray(x), exact.asarray(v)
    f = lambda x: {"a": x**3 / (1 + x * x), "b": (rnp.sum(x * x), 5 * rnp.ones_like(x))}
    value, push = linearize(f, x)
    expected = jvp(f, (x,), (v,))
    assert same(value["a"], expected[0]["a"])
    for direction in (v, v + 1, 0 * v):
        found, truth = push(direction), jvp(f, (x,), (direction,))[1]
        assert same(found["a"], truth["a"])
        assert same(found["b"][0], truth["b"][0])
        assert same(found["b"][1], truth["b"][1])
    _, times = linearize(grad(lambda x: rnp.sum(x**4) + x[0] * x[1]), x)
    assert same(times(v), hvp(lambda x: rnp.sum(x**4) + x[0] * x[1], x, v))
    outer = lambda x: rnp.sum(linearize(lambda y: y * y * x, 2 * x)[1](x))
    assert same(grad(outer)(x), 12 * x * x)
    assert same(vmap(linearize(lambda y: y**3, x)[1])(np.stack([v, x])), np.stack([3 * x * x * v, 3 * x**3]))


def test_a_linearised_gradient_is_an_operator_for_conjugate_gradients():
    calls = []
    a = np.array([[4.0, 1.0], [1.0, 3.0]])

    def f(x):
        calls.append(1)
        return x @ a @ x / 2

    _, times = linearize(grad(f), np.zeros(2))
    solution = conjugate_gradient(times, np.array([1.0, 2.0]))
    assert np.abs(solution.value - np.linalg.solve(a, [1.0, 2.0])).max() <= 1e-15
    assert len(calls) == 1
    with pytest.raises(ShapeError, match="structure"):
        times(np.ones(2), np.ones(2))
    with pytest.raises(ShapeError, match="shape"):
        times(np.ones(3))
    with pytest.raises(NoDerivative):
        linearize(f, np.array([1, 2]))
    x = np.ones(2)
    _, push = linearize(lambda x: x, x)
    v = np.ones(2)
    out = push(v)
    out += 1
    assert v.tolist() == [1.0, 1.0]


def test_a_stopped_gradient_is_a_constant_for_every_derivative_and_stays_batched():
    x = exact.asarray([2, 3])
    assert same(grad(lambda x: rnp.sum(x * stop_gradient(x) ** 2))(x), x * x)
    assert same(hessian(lambda x: rnp.sum(x**2 * stop_gradient(x)))(x), np.diag(2 * x))
    assert same(jvp(lambda x: stop_gradient({"a": x})["a"] * x, (x,), (x,))[1], x * x)
    assert same(grad(lambda x: grad(lambda y: rnp.sum(y * stop_gradient(x * y)))(x) @ x)(x), x * x)
    assert same(vmap(lambda x: stop_gradient(x) * x[0])(np.stack([x, x])), np.stack([2 * x, 2 * x]))
    assert stop_gradient(3.0) == 3.0
