"""Derivatives through unrolled descent, and of fixed points of other maps, by the engine: the closed forms, with ==."""

from __future__ import annotations

import pytest
from helpers.hypergradients import Draw, made, quadratic, same, sized

import refgrad.numpy as rnp
from refgrad import exact, grad, jacrev
from refgrad.errors import NeumannDiverges
from refgrad.implicit import custom_root, hypergradient
from refgrad.linalg import Neumann
from refgrad.theory.implicit import (
    descent_from_the_solution,
    descent_on_a_quadratic,
    fixed_point_hypergradient,
    momentum,
)

counted = pytest.mark.parametrize("steps", [0, 1, 2, 5])


def rate(H):
    """Below the reciprocal of the largest eigenvalue."""
    return 1 / (1 + rnp.trace(H))


def unrolled(problem, w0, phi, lr, steps):
    """The derivative through the steps, by the engine."""

    def end(p):
        w = w0
        for _ in range(steps):
            w = w - lr * grad(problem.inner)(w, p)
        return problem.outer(w, p)

    return grad(end)(phi)


def by_series(problem, w, phi, lr, steps):
    return hypergradient(problem.inner, problem.outer, w, phi, solver=Neumann(terms=steps, lr=lr), inner_rtol=1e9).value


@pytest.mark.proves("descent-on-a-quadratic")
@counted
@sized
def test_descent_on_a_quadratic_is_a_series_at_its_end_from_every_start(n, m, steps):
    problem, w, phi = quadratic(n + 10 * m, n, m)
    lr = rate(problem.H)
    for start in (w, 0 * w, w + Draw(m)(n)):
        found = descent_on_a_quadratic(problem, start, phi, lr, steps)
        assert same(unrolled(problem, start, phi, lr, steps), found)
        end = start
        for _ in range(steps):
            end = end - lr * grad(problem.inner)(end, phi)
        if steps:
            assert same(by_series(problem, end, phi, lr, steps), found)


@pytest.mark.proves("descent-on-a-quadratic")
@pytest.mark.parametrize("lr", ["1/16", "-1/16", 1, 0])
def test_it_holds_for_rates_that_diverge_and_of_no_sign(lr):
    problem, w, phi = quadratic(3, 3, 2)
    lr = exact.asarray(lr)
    assert same(unrolled(problem, w + 1, phi, lr, 3), descent_on_a_quadratic(problem, w + 1, phi, lr, 3))


@pytest.mark.proves("descent-from-the-solution", "neumann-residual")
@counted
@sized
def test_descent_from_the_solution_is_a_series_of_as_many_terms_for_any_loss(n, m, steps):
    problem, w, phi = made(n + 10 * m, n, m)
    at = problem.derivatives(w, phi)
    lr = rate(at.H)
    found = descent_from_the_solution(at.H, at.B, at.g, at.d, lr, steps)
    assert same(unrolled(problem, w, phi, lr, steps), found)
    if steps:
        assert same(by_series(problem, w, phi, lr, steps), found)
        assert not same(by_series(problem, w, phi, lr, steps + 1), found)


def test_a_series_at_the_end_is_not_descent_where_the_loss_is_not_quadratic():
    problem, w, phi = made(7, 2, 2)
    lr = rate(problem.derivatives(w, phi).H) / 8
    end = w + 1
    for _ in range(2):
        end = end - lr * grad(problem.inner)(end, phi)
    assert not same(unrolled(problem, w + 1, phi, lr, 2), by_series(problem, end, phi, lr, 2))


def by_fixed_point(step, solution, outer, phi):
    """The gradient through the root of ``step(x, phi) - x``."""
    difference = lambda x, p: {name: new - x[name] for name, new in step(x, p).items()}
    root = custom_root(difference, solution)
    return grad(lambda p: outer(root(p)["w"], p))(phi)


@pytest.mark.proves("fixed-point-maps", "custom-root")
@pytest.mark.parametrize("problem_of", [quadratic, made])
@sized
def test_descent_at_any_rate_and_with_any_preconditioner_has_the_hypergradient_for_its_fixed_point(n, m, problem_of):
    problem, w, phi = problem_of(n + 10 * m, n, m)
    at, truth = problem.derivatives(w, phi), problem.total_derivative(phi)
    draw = Draw(n)
    unit, A = draw.eye(n), draw(n, n)
    for P in (unit / 16, 3 * unit, -unit, draw.definite(n) + A - A.T):
        step = lambda x, p, P=P: {"w": x["w"] - P @ grad(problem.inner)(x["w"], p)}
        assert same(by_fixed_point(step, lambda p: {"w": problem.solution(p)}, problem.outer, phi), truth)
        assert same(fixed_point_hypergradient(unit - P @ at.H, -(P @ at.B), at.g, at.d), truth)
    assert same(hypergradient(problem.inner, problem.outer, w, phi).value, truth)


@pytest.mark.proves("fixed-point-maps", "momentum-map", "custom-root")
@pytest.mark.parametrize("beta", ["0", "1/2", "9/10"])
@pytest.mark.parametrize("problem_of", [quadratic, made])
@sized
def test_momentum_has_the_hypergradient_for_its_fixed_point_by_the_transpose(n, m, problem_of, beta):
    problem, w, phi = problem_of(n + 10 * m, n, m)
    at, truth = problem.derivatives(w, phi), problem.total_derivative(phi)
    lr, beta = exact.asarray("1/3"), exact.asarray(beta)

    def step(x, p):
        v = beta * x["v"] - lr * grad(problem.inner)(x["w"], p)
        return {"w": x["w"] + v, "v": v}

    def solution(p):
        found = problem.solution(p)
        return {"w": found, "v": 0 * found}

    assert same(by_fixed_point(step, solution, problem.outer, phi), truth)
    J, K = momentum(at.H, at.B, lr, beta)

    def joined(x, p):
        new = step({"w": x[:n], "v": x[n:]}, p)
        return rnp.concatenate([new["w"], new["v"]])

    assert same(jacrev(joined)(rnp.concatenate([w, 0 * w]), phi), J)
    assert same(jacrev(joined, 1)(rnp.concatenate([w, 0 * w]), phi), K)
    g = rnp.concatenate([at.g, 0 * at.g])
    assert same(fixed_point_hypergradient(J, K, g, at.d), truth)
    if not same(truth, at.d):
        assert not same(fixed_point_hypergradient(J.T, K, g, at.d), truth)


@pytest.mark.proves("fixed-point-maps")
def test_a_step_size_has_no_hypergradient_for_a_fixed_point_and_one_through_the_steps():
    problem, w, phi = made(5, 3, 2)
    step = lambda x, lr: {"w": x["w"] - lr * grad(problem.inner)(x["w"], phi)}
    lr = exact.asarray("1/16")
    assert by_fixed_point(step, lambda lr: {"w": w}, lambda v, lr: problem.outer(v, phi), lr) == 0
    assert grad(lambda lr: problem.outer(step({"w": w + 1}, lr)["w"], phi))(lr) != 0


def test_the_engine_refuses_a_series_that_diverges_which_as_descent_is_only_long():
    problem, w, phi = quadratic(3, 3, 2)
    with pytest.raises(NeumannDiverges):
        by_series(problem, w, phi, exact.asarray(1), 3)
