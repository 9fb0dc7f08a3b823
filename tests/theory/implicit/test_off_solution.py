"""The formula off the solution is another problem's hypergradient; the Lagrangian has the second one: with ==."""

from __future__ import annotations

import pytest
from helpers.hypergradients import Draw, made, quadratic, same, sized

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, jacrev, jvp
from refgrad.contracts.implicit import AuxiliaryTasks, PoissonIntercept, QuadraticBilevel, probe
from refgrad.contracts.tools import checked_solve
from refgrad.implicit import custom_root, hypergradient
from refgrad.theory.implicit import second_hypergradient, tilted


def formula(at):
    return at.d - at.B.T @ checked_solve(at.H, at.g)


@pytest.mark.proves("tilted-problem")
@pytest.mark.parametrize("problem_of", [quadratic, made])
@sized
def test_off_the_solution_the_formula_is_the_hypergradient_of_the_tilted_problem(n, m, problem_of):
    problem, w, phi = problem_of(n + 10 * m, n, m)
    w = w + 1 + abs(Draw(n)(n))
    at = problem.derivatives(w, phi)
    found = hypergradient(tilted(problem.inner, at.slope), problem.outer, w, phi)
    assert found.inner_gradient == 0
    assert same(found.value, formula(at))
    assert same(hypergradient(problem.inner, problem.outer, w, phi, inner_rtol=1e9).value, formula(at))


@pytest.mark.proves("tilted-problem")
@sized
def test_and_that_is_the_derivative_of_where_the_tilted_problem_leads(n, m):
    problem, _, phi = quadratic(n + 10 * m, n, m)
    r = 1 + abs(Draw(n)(n))
    other = QuadraticBilevel(problem.H, problem.C, problem.c + r, problem.Q, problem.t, problem.R, problem.P, problem.q)
    at = other.solution(phi)
    assert same(problem.derivatives(at, phi).slope, r)
    assert tilted(problem.inner, r)(at, phi) == other.inner(at, phi)
    value = hypergradient(problem.inner, problem.outer, at, phi, inner_rtol=1e9).value
    assert same(value, other.total_derivative(phi))


@pytest.mark.proves("tilted-problem")
@pytest.mark.parametrize("power", [1, 2, 4])
def test_for_an_exponential_the_tilt_is_one_of_the_count(power):
    # at w with e^w = 3 the slope is r = 3 a - b - phi, and a e^v - (b + r + phi) v has its solution there
    with exact.precision(200):
        phi, w = exact.balls(["1/2"]), rnp.log(exact.balls([3]))
        problem = PoissonIntercept(rnp, exact.balls(4), exact.balls(2), power)
        value = hypergradient(problem.inner, problem.outer, w, phi, inner_rtol=1e9).value
    moved = PoissonIntercept(rnp, 4, 2 + (12 - exact.asarray("5/2")), power)
    assert same(value, moved.total_derivative(exact.asarray(["1/2"])))
    assert power == 1 or not same(value, PoissonIntercept(rnp, 4, 2, power).total_derivative(exact.asarray(["1/2"])))


def lagrangian(problem, u):
    return lambda v, p: problem.outer(v, p) - jvp(lambda x: problem.inner(x, p), (v,), (u,))[1]


def penalised(seed, n, m):
    """Tasks weighed by phi, so that H depends on phi and B on w; with F by elimination."""
    draw = Draw(seed)
    A = rnp.stack([draw.definite(n) for _ in range(m)])
    problem = AuxiliaryTasks(draw.definite(n), draw(n), A, draw(m, n), draw.definite(n), draw(n))
    phi = abs(draw(m))
    return problem, problem.solution(phi), phi


SOLUTIONS = {
    quadratic: lambda problem, p: rnp.linalg.solve(problem.H, problem.c + problem.C @ p),
    made: lambda problem, p: problem.psi(p),
    penalised: lambda problem, p: rnp.linalg.solve(problem.hessian(p), problem.b0 + p @ problem.b),
}


@pytest.mark.proves("second-derivative-of-the-lagrangian", "custom-root")
@pytest.mark.parametrize("problem_of", SOLUTIONS)
@sized
def test_the_second_hypergradient_is_that_of_the_lagrangian_and_of_the_root(n, m, problem_of):
    problem, w, phi = problem_of(n + 10 * m, n, m)
    truth = hessian(lambda p: problem.outer(SOLUTIONS[problem_of](problem, p), p))(phi)  # of F as it stands
    at = problem.derivatives(w, phi)
    S, u = -checked_solve(at.H, at.B), checked_solve(at.H, at.g)

    def blocks(f):
        return hessian(f)(w, phi), jacrev(grad(f), 1)(w, phi), hessian(f, 1)(w, phi)

    assert same(second_hypergradient(S, *blocks(lagrangian(problem, u))), truth)
    root = custom_root(lambda v, p: grad(problem.inner)(v, p), problem.solution)
    assert same(hessian(lambda p: problem.outer(root(p), p))(phi), truth)
    frozen = second_hypergradient(S, *blocks(problem.outer))  # H and B held fixed
    assert same(frozen, truth) == (problem_of is quadratic)


@pytest.mark.proves("second-derivative-of-the-lagrangian")
def test_the_probe_has_its_second_hypergradient():
    problem, _, phi = probe()
    root = custom_root(lambda v, p: grad(problem.inner)(v, p), problem.solution)
    known = [["1179/40", "19/8", "-52/5"], ["19/8", "11/40", "-4/5"], ["-52/5", "-4/5", "91/5"]]
    assert same(hessian(lambda p: problem.outer(root(p), p))(phi), exact.asarray(known))
    S = checked_solve(problem.H, problem.C)
    assert same(second_hypergradient(S, problem.Q, problem.R, problem.P), exact.asarray(known))
