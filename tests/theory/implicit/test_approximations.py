"""What the engine's approximations miss is what the closed forms say, with ==."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from helpers.hypergradients import Draw, made, quadratic, same, sized

import refgrad.numpy as rnp
from refgrad import exact, grad, vjp
from refgrad.implicit import hypergradient
from refgrad.linalg import Damped, Dense, Identity, Neumann, Nystrom
from refgrad.theory.implicit import damping_bias, error_of_adjoint, finite_difference_error

RHO = exact.asarray("1/8")
APPROXIMATE = {
    "identity": lambda H: Identity(),
    "series": lambda H: Neumann(terms=3, lr=1 / rnp.trace(H)),
    "damped": lambda H: Damped(Dense(), damping=RHO),
    "low rank": lambda H: Nystrom(1, damping=RHO, rows=[0]),
}


@pytest.mark.proves("error-of-adjoint")
@pytest.mark.parametrize("name", APPROXIMATE)
@pytest.mark.parametrize("problem_of", [quadratic, made])
@sized
def test_an_approximate_adjoint_is_off_by_its_residual_carried_on(n, m, problem_of, name):
    problem, w, phi = problem_of(n + 10 * m, n, m)
    at = problem.derivatives(w, phi)
    found = hypergradient(problem.inner, problem.outer, w, phi, solver=APPROXIMATE[name](at.H))
    error = error_of_adjoint(at.H, at.B, at.g, found.adjoint)
    assert same(found.value - problem.total_derivative(phi), error)
    exactly = name == "series" and n == 1  # a step of 1 / H
    assert same(error, 0 * error) == exactly
    assert exactly or not same(error, at.B.T @ (at.g - at.H @ found.adjoint))  # the residual as it is


@pytest.mark.proves("damping-bias")
@pytest.mark.parametrize("problem_of", [quadratic, made])
@sized
def test_damping_shifts_the_adjoint_by_its_bias(n, m, problem_of):
    problem, w, phi = problem_of(n + 10 * m, n, m)
    at = problem.derivatives(w, phi)
    for rho in (RHO, exact.asarray(7)):
        plain, damped = (
            hypergradient(problem.inner, problem.outer, w, phi, solver=solver)
            for solver in (Dense(), Damped(Dense(), damping=rho))
        )
        bias = damping_bias(at.H, at.g, rho)
        assert same(damped.adjoint - plain.adjoint, bias)
        assert same(damped.value - plain.value, -(at.B.T @ bias))
        assert same(at.g - at.H @ damped.adjoint, rho * damped.adjoint)  # what damping leaves


@pytest.mark.proves("finite-difference-error")
@pytest.mark.parametrize("degree", [2, 3, 4, 5, 6, 8])
@sized
def test_a_central_difference_has_all_odd_derivatives_for_its_error(n, m, degree):
    draw = Draw(n + 10 * m)
    X, y, w, u, phi = draw(m, n), draw(m), draw(n) / 2, draw(n), draw(m)
    inner = lambda w, p: p * p @ (X @ w - y) ** degree / degree + w @ w  # every example a task, weighed by phi^2
    epsilon = exact.asarray("1/3")
    difference = (grad(inner, 1)(w + epsilon * u, phi) - grad(inner, 1)(w - epsilon * u, phi)) / (2 * epsilon)
    (mixed,) = vjp(lambda p: grad(inner)(w, p), phi)[1](u)
    r, s = X @ w - y, X @ u

    def derivative(k):
        """By phi, and k times by w along u."""
        if k > degree:
            return 0 * r
        return 2 * phi * (factorial(degree - 1) // factorial(degree - k)) * r ** (degree - k) * s**k

    errors = [derivative(k) for k in (3, 5, 7)]
    assert same(difference - mixed, finite_difference_error(errors, epsilon))
    if degree == 2:
        assert same(difference, mixed)
    if degree in (3, 4):
        assert same(difference - mixed, finite_difference_error(errors[:1], epsilon))
    if degree >= 5:
        assert not same(difference - mixed, finite_difference_error(errors[:1], epsilon))


def test_the_difference_of_darts_in_floats_has_the_error_that_is_said():
    rng = np.random.default_rng(0)
    X, w, g = rng.normal(size=(4, 3)), rng.normal(size=3), rng.normal(size=3)
    inner = lambda w, p: p @ rnp.exp(X @ w)
    phi = np.ones(4)
    epsilon = 0.01 / np.linalg.norm(g)  # as its authors choose it
    difference = (grad(inner, 1)(w + epsilon * g, phi) - grad(inner, 1)(w - epsilon * g, phi)) / (2 * epsilon)
    e, s = np.exp(X @ w), X @ g
    error = finite_difference_error([e * s**3, e * s**5], epsilon)
    # rounding of the difference is eps / epsilon, and the next term (epsilon s)^6 s / 7!
    assert np.abs(difference - e * s - error).max() <= 1e-9 * np.abs(error).max() + 8 * 2.0**-52 * e.max() / epsilon
    assert np.abs(error).max() > 1e-6
