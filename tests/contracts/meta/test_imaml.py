"""Implicit MAML on quadratics: by multiplying back, by ridge regression, and by series through elimination."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.jets import JETS, coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import meta
from refgrad.contracts.meta.imaml import imaml_gradient, proximal_point, strength_gradient
from refgrad.contracts.meta.quadratic_form import QuadraticForm, mean_squares_form
from refgrad.contracts.tools.assemble import identity
from refgrad.errors import SingularMatrix

FORM = QuadraticForm()
numbers = st.integers(-2, 2)


def implicit_gradient(theta, tasks, lam):
    """The implicit gradient at the adapted points of quadratic tasks."""
    return imaml_gradient(FORM, theta, [proximal_point(theta, support, lam) for support, _ in tasks], tasks, lam)


strengths = st.sampled_from([Fraction(1, 3), Fraction(5, 2), Fraction(7)]).map(exact.asarray)


def same(a, b):
    return bool(np.all(a == b))


def still(x):
    """Arrays, in tuples and lists, as series that do not move."""
    return line(x, 0 * x) if isinstance(x, exact.ExactArray) else type(x)(still(part) for part in x)


@st.composite
def pairs(draw, definite=False):
    """A symmetric matrix and a centre. With `definite`, the matrix is ``I + B^2``: its eigenvalues are 1 or more."""
    a, b, d = (draw(numbers) for _ in range(3))
    A = exact.asarray([[a, b], [b, d]])
    return (identity(A) + A @ A if definite else A, exact.asarray([draw(numbers), draw(numbers)]))


@st.composite
def problems(draw):
    """theta, and one or two tasks whose query matrices are of any sign."""
    tasks = [(draw(pairs(definite=True)), draw(pairs())) for _ in range(draw(st.integers(1, 2)))]
    return exact.asarray([draw(numbers), "1/2"]), tasks


def objective(theta, tasks, lam):
    """The mean query loss, for series, at the solutions of ``(A + lam I) phi = A c + lam theta``, by elimination."""
    total = 0
    for (A, c), query in tasks:
        phi = JETS.solve(A + lam * identity(A), (A @ c + lam * theta)[:, None])[:, 0]
        total = total + FORM(phi, query)
    return total / len(tasks)


@settings(max_examples=20, deadline=None)
@given(problems(), strengths)
def test_both_gradients_are_the_derivatives_of_the_query_loss_at_the_ridge_solution(problem, lam):
    theta, tasks = problem
    held, gradient = still(tasks), implicit_gradient(theta, tasks, lam).value
    for i in range(len(theta)):
        moving = line(theta, exact.asarray([int(i == j) for j in range(len(theta))]))
        assert gradient[i] == exact.asarray(coefficient(objective(moving, held, still(lam)), 1))
    moving = line(lam, 0 * lam + 1)
    slope = exact.asarray(coefficient(objective(still(theta), held, moving), 1))
    assert strength_gradient(theta, tasks, lam).value == slope


@settings(max_examples=20, deadline=None)
@given(problems(), strengths)
def test_the_adapted_point_minimises_the_loss_with_its_penalty_of_half_lam(problem, lam):
    theta, tasks = problem
    penalised = lambda phi, support: FORM(phi, support) + lam * ((phi - theta) @ (phi - theta)) / 2
    for support, _ in tasks:
        phi = proximal_point(theta, support, lam)
        assert same(FORM.grad(phi, support) + lam * (phi - theta), 0)
        for move in ([1, 0], [0, -1], [-1, 2]):
            assert penalised(phi + exact.asarray(move), support) > penalised(phi, support)


def test_adaptation_of_a_linear_regression_is_ridge_regression_towards_theta():
    X, y = exact.asarray([[1, 2], [0, 1], ["1/2", -1]]), exact.asarray([1, -1, 3])
    theta, lam = exact.asarray([2, "-1/3"]), exact.asarray("3/4")
    phi = proximal_point(theta, mean_squares_form(X, y), lam)
    # the gradient of mean_n (x_n . phi - y_n)^2 + lam/2 |phi - theta|^2
    assert same(2 * X.T @ (X @ phi - y) / 3 + lam * (phi - theta), 0)


def implicit(theta, tasks, s):
    """The mean over tasks of ``(I + sA)^-1 grad Q`` at ``(I + sA)^-1 (theta + s A c)``, for series, with s = 1/lam."""
    total = 0
    for (A, c), query in tasks:
        step = identity(A) + s * A
        phi = JETS.solve(step, (theta + s * (A @ c))[:, None])[:, 0]
        total = total + JETS.solve(step, FORM.grad(phi, query)[:, None])[:, 0]
    return total / len(tasks)


@settings(max_examples=20, deadline=None)
@given(problems(), strengths)
def test_imaml_agrees_with_one_step_of_maml_of_rate_one_over_lam_to_first_order(problem, lam):
    theta, tasks = problem
    at_lam = implicit(still(theta), still(tasks), still(1 / lam))
    assert same(implicit_gradient(theta, tasks, lam).value, exact.asarray(coefficient(at_lam, 0)))
    s = line(exact.asarray(0), exact.asarray(1))
    maml = meta.maml_gradient.plain(FORM, still(theta), still(tasks), s, 1)
    difference = implicit(still(theta), still(tasks), s) - maml
    assert same(exact.asarray(coefficient(difference, 0)), 0)
    assert same(exact.asarray(coefficient(difference, 1)), 0)
    # (I + sA)^-1 = I - sA + s^2 A^2 - ..., once in the adapted point and once in the pull-back
    second = 0 * theta
    for (A, c), (B, c_q) in tasks:
        second = second + B @ (A @ (A @ (theta - c))) + A @ (A @ (B @ (theta - c_q)))
    assert same(exact.asarray(coefficient(difference, 2)), second / len(tasks))


@settings(max_examples=20, deadline=None)
@given(problems(), strengths)
def test_the_magnitudes_bound_the_values(problem, lam):
    for method in (implicit_gradient, strength_gradient):
        answer = method(*problem, lam)
        assert np.all(abs(answer.value) <= answer.magnitude * (1 + Fraction(1, 2**30)))  # made of float64


def test_the_magnitude_is_not_small_where_the_query_gradient_is_a_difference_of_large_terms():
    unit = exact.asarray([[1, 0], [0, 1]])
    steep = exact.asarray([[1000, -1000], [-1000, 1001]])
    theta, lam = exact.asarray([1, 1]), exact.asarray(1)
    # support without curvature: phi* = theta, and the gradient is that of the query loss
    answer = implicit_gradient(theta, [((0 * unit, theta), (steep, 0 * theta))], lam)
    assert same(answer.value, [0, 1])
    assert same(answer.magnitude, [2000, 2001])


def test_a_concave_support_loss_is_adapted_to_unless_its_curvature_cancels_the_penalty():
    A, c, query = exact.asarray([[-1]]), exact.asarray([0]), (exact.asarray([[1]]), exact.asarray([0]))
    theta = exact.asarray([1])
    # phi = theta / (1 - 1/lam)
    assert proximal_point(theta, (A, c), exact.asarray(3))[0] == Fraction(3, 2)
    assert implicit_gradient(theta, [((A, c), query)], exact.asarray(3)).value[0] == Fraction(9, 4)
    with pytest.raises(SingularMatrix):
        imaml_gradient(FORM, theta, [theta], [((A, c), query)], exact.asarray(1))


def test_the_quantities_on_balls_enclose_those_on_rationals():
    task = (
        (exact.asarray([[2, 1], [1, 3]]), exact.asarray([1, -1])),
        (exact.asarray([[1, 0], [0, 2]]), exact.asarray([0, 3])),
    )
    theta, lam = exact.asarray(["1/3", 2]), exact.asarray("2/3")
    with exact.precision(256):
        in_balls = [tuple(tuple(exact.balls(x) for x in pair) for pair in task)]
        for method in (implicit_gradient, strength_gradient):
            low, high = exact.bounds(method(exact.balls(theta), in_balls, exact.balls(lam)).value)
            truth = exact.to_fractions(method(theta, [task], lam).value)
            assert np.all((low <= truth) & (truth <= high))
            assert np.all(high - low < Fraction(1, 2**200))
