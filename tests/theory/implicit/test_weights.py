"""Hypergradients of weights by the engine, against closed forms: with ==, and to 73 bits where there is a norm."""

from __future__ import annotations

import pytest
from helpers.hypergradients import Draw, same, sized

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.contracts.implicit import AuxiliaryTasks
from refgrad.contracts.tools import checked_solve
from refgrad.implicit import hypergradient
from refgrad.theory.implicit import leave_one_out, radial_derivative, weight_norm_gradient


def tasks(seed, n, m, main=1):
    draw = Draw(seed)
    A = rnp.stack([draw.definite(n) for _ in range(m)])
    phi = 1 + abs(draw(m))
    return AuxiliaryTasks(main * draw.definite(n), main * draw(n), A, draw(m, n), draw.definite(n), draw(n)), phi


def engine(problem, w, phi, **options):
    return hypergradient(problem.inner, problem.outer, w, phi, **options).value


@pytest.mark.proves("radial-derivative")
@sized
def test_to_scale_all_weights_acts_as_the_main_task_pulls(n, m):
    problem, phi = tasks(n + 10 * m, n, m)
    w, H = problem.solution(phi), problem.hessian(phi)
    slope, g = lambda v: problem.A0 @ v - problem.b0, lambda v: problem.A_val @ v - problem.b_val
    radial = phi @ engine(problem, w, phi)
    assert radial == radial_derivative(H, slope(w), g(w)) != 0
    if m == 1:  # the dual form
        assert same(engine(problem, w, phi), radial_derivative(H, slope(w), g(w)) / phi)
    off = w + 1  # there the two differ by the slope that is left
    left = problem.inner_grad(off, phi) @ checked_solve(H, g(off))
    found = phi @ engine(problem, off, phi, inner_rtol=1e9)
    assert found == radial_derivative(H, slope(off), g(off)) - left
    assert left != 0


@pytest.mark.proves("radial-derivative")
@sized
def test_without_a_main_task_to_scale_all_weights_does_nothing(n, m):
    problem, phi = tasks(n + 10 * m, n, m, main=0)
    value = engine(problem, problem.solution(phi), phi)
    assert phi @ value == 0
    assert m == 1 or (value != 0).any()


@pytest.mark.proves("leave-one-out")
@pytest.mark.parametrize("i", [0, 2, -1])
@pytest.mark.parametrize("n", [1, 2, 4])
def test_the_solution_without_an_example_is_a_step_of_its_residual_and_leverage(n, i):
    draw = Draw(n)
    X, y, mu = draw(5, n), draw(5) + exact.asarray("1/7"), exact.asarray("3/4")
    ones = 1 + 0 * y
    problem = AuxiliaryTasks.of_examples(X, y, mu, (draw(3, n), draw(3)))
    w = problem.solution(ones)
    kept = [k for k in range(5) if k != i % 5]
    without = leave_one_out(X, y, mu, i)
    assert same((X[kept].T @ X[kept] + mu * draw.eye(n)) @ without, X[kept].T @ y[kept])
    # the hypergradient by its weight for the outer loss w_k is minus the step without the leverage
    for k in range(n):
        slope = hypergradient(problem.inner, lambda v, p, k=k: v[k], w, ones).value[i]
        leverage = X[i] @ checked_solve(problem.hessian(ones), X[i])
        assert without[k] - w[k] == -slope / (1 - leverage)
    assert not same(without, w)


@pytest.mark.proves("weight-norm")
@sized
def test_a_normalised_weight_has_the_hypergradient_along_it_and_across(n, m):
    with exact.precision(200):
        draw = Draw(n + 10 * m, exact.balls)
        H, C, t, v, gamma = draw.definite(n), draw(n, m), draw(n), 4 + draw(m), exact.balls("5/2")
        weight = lambda p: p["gamma"] * p["v"] / rnp.sqrt(p["v"] @ p["v"])
        inner, outer = lambda w, p: w @ (H @ w) / 2 - w @ (C @ p), lambda w, p: (w - t) @ (w - t) / 2
        at = {"gamma": gamma, "v": v}
        phi = weight(at)
        w = checked_solve(H, C @ phi)
        h = C.T @ checked_solve(H, w - t)
        found = hypergradient(lambda w, p: inner(w, weight(p)), lambda w, p: outer(w, weight(p)), w, at).value
        by_gamma, by_v = weight_norm_gradient(h, gamma, v)
        assert same(hypergradient(inner, outer, w, phi).value, h)
        assert same(found["gamma"], by_gamma)
        assert same(found["v"], by_v)
        assert same(v @ found["v"], 0 * gamma)  # the length of v does nothing
        assert m == 1 or not same(found["v"], gamma / rnp.sqrt(v @ v) * h)
