"""Meta-gradients with a batch and a rate for every inner step: by series, and by the affine map of quadratic tasks."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import meta
from refgrad.contracts.meta.per_step import adjoints, per_step_gradient, rate_gradients, trajectory
from refgrad.contracts.meta.quadratic_form import QuadraticForm
from refgrad.contracts.tools import EXACT_TABLE, Quartic
from refgrad.theory.meta.affine import adaptation, affine_gradient, affine_minimiser

FORM, QUARTIC = QuadraticForm(), Quartic(EXACT_TABLE)
numbers = st.integers(-2, 2)


def same(a, b):
    return bool(np.all(a == b))


def still(x):
    """Arrays, in tuples and lists, as series that do not move."""
    return line(x, 0 * x) if isinstance(x, exact.ExactArray) else type(x)(still(part) for part in x)


@st.composite
def regression_batches(draw):
    return (exact.asarray([[draw(numbers), 1], [1, draw(numbers)]]), exact.asarray([draw(numbers), draw(numbers)]))


@st.composite
def quadratic_batches(draw):
    a, b, d = (draw(numbers) for _ in range(3))
    return (exact.asarray([[a, b], [b, d]]), exact.asarray([draw(numbers), draw(numbers)]))


@st.composite
def problems(draw, batches, most=3):
    """theta, tasks of k batches and a query each, and k rates."""
    k = draw(st.integers(1, most))
    tasks = [([draw(batches) for _ in range(k)], draw(batches)) for _ in range(draw(st.integers(1, 2)))]
    rates = exact.asarray(["1/8", "1/4", "3/16"])[:k]
    return exact.asarray([draw(numbers), "1/2"]), tasks, rates


def unrolled(loss, theta, tasks, rates):
    """The mean query loss after the inner steps, for series."""
    total = 0
    for batches, query in tasks:
        point = theta
        for i, batch in enumerate(batches):
            point = point - rates[i] * loss.grad(point, batch)
        total = total + loss(point, query)
    return total / len(tasks)


@pytest.mark.parametrize(
    ("loss", "batches", "most"), [(QUARTIC, regression_batches(), 2), (FORM, quadratic_batches(), 3)]
)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_the_gradients_by_theta_and_by_the_rates_are_those_of_the_unrolled_series(loss, batches, most, data):
    theta, tasks, rates = data.draw(problems(batches, most))
    held = still(tasks)
    by_theta = per_step_gradient(loss, theta, tasks, rates).value
    by_rates = rate_gradients(loss, theta, tasks, rates).value
    for i in range(len(theta)):
        moving = line(theta, exact.asarray([int(i == j) for j in range(len(theta))]))
        assert by_theta[i] == exact.asarray(coefficient(unrolled(loss, moving, held, still(rates)), 1))
    for i in range(len(rates)):
        moving = line(rates, exact.asarray([int(i == j) for j in range(len(rates))]))
        assert by_rates[i] == exact.asarray(coefficient(unrolled(loss, still(theta), held, moving), 1))


@settings(max_examples=10, deadline=None)
@given(problems(regression_batches(), 2), st.integers(0, 2))
def test_with_one_batch_and_one_rate_the_gradient_is_that_of_maml(problem, steps):
    theta, tasks, rates = problem
    lr, tasks = rates[0], [(batches[0], query) for batches, query in tasks]
    repeated = [([support] * steps, query) for support, query in tasks]
    answer, maml = per_step_gradient(QUARTIC, theta, repeated, [lr] * steps), meta.maml_gradient
    assert same(answer.value, maml(QUARTIC, theta, tasks, lr, steps).value)
    assert same(answer.magnitude, maml(QUARTIC, theta, tasks, lr, steps).magnitude)


@settings(max_examples=15, deadline=None)
@given(problems(regression_batches(), 2))
def test_the_magnitudes_bound_the_values(problem):
    for method in (per_step_gradient, rate_gradients):
        answer = method(QUARTIC, *problem)
        assert answer.value.shape == answer.magnitude.shape
        assert np.all(abs(answer.value) <= answer.magnitude * (1 + Fraction(1, 2**30)))  # made of float64


def test_batches_and_rates_of_different_number_are_refused():
    theta, batch, rates = exact.asarray([1]), (exact.asarray([[1]]), exact.asarray([0])), [exact.asarray(1)]
    for method in (per_step_gradient, rate_gradients):
        with pytest.raises(ValueError, match="zip"):
            method(FORM, theta, [([batch, batch], batch)], rates)
    with pytest.raises(ValueError, match="zip"):
        trajectory(FORM, theta, [batch, batch], rates)


A0, A1 = exact.asarray([[2, 1], [1, 1]]), exact.asarray([[1, 0], [0, 3]])
ORIGIN, HALF = exact.asarray([0, 0]), exact.asarray("1/2")
QUERY = (exact.asarray([[1, 0], [0, 1]]), exact.asarray([1, 2]))


def test_the_first_order_gradient_of_a_rate_is_right_for_the_last_step_only():
    theta, rates = exact.asarray([3, -1]), [HALF, HALF]
    task = ([(A0, ORIGIN), (A1, ORIGIN)], QUERY)
    exact_gradients = rate_gradients(FORM, theta, [task], rates).value
    path = trajectory(FORM, theta, task[0], rates)
    v = FORM.grad(path[-1], QUERY)
    first_order = [-(v @ FORM.grad(point, batch)) for point, batch in zip(path[:-1], task[0], strict=True)]
    assert exact_gradients[1] == first_order[1]
    assert exact_gradients[0] != first_order[0]


@settings(max_examples=20, deadline=None)
@given(problems(quadratic_batches()))
def test_adaptation_to_quadratics_is_its_affine_map_and_the_gradient_that_of_the_recursion(problem):
    theta, tasks, rates = problem
    for task in tasks:
        P, r = adaptation(task, rates)
        assert same(P @ theta + r, trajectory(FORM, theta, task[0], rates)[-1])
    assert same(affine_gradient(theta, tasks, rates), per_step_gradient(FORM, theta, tasks, rates).value)


def test_without_inner_steps_the_gradient_is_that_of_the_query_loss():
    assert same(affine_gradient(ORIGIN, [([], QUERY)], []), FORM.grad(ORIGIN, QUERY))
    assert same(per_step_gradient(FORM, ORIGIN, [([], QUERY)], []).value, FORM.grad(ORIGIN, QUERY))


@settings(max_examples=20, deadline=None)
@given(st.lists(quadratic_batches(), min_size=4, max_size=4), quadratic_batches())
def test_the_gradient_vanishes_at_the_affine_minimiser_and_the_objective_grows_away_from_it(batches, other):
    # queries A^2 + I are positive definite; rates of 1/8 on eigenvalues of at most 4 keep P invertible
    query = lambda batch: (batch[0] @ batch[0] + QUERY[0], batch[1])
    tasks, rates = [(batches[:2], query(other)), (batches[2:], query(batches[0]))], exact.asarray(["1/8", "1/8"])
    star = affine_minimiser(tasks, rates)
    assert same(per_step_gradient(FORM, star, tasks, rates).value, 0)
    for move in ([1, 0], [0, -1], [2, 3]):
        elsewhere = star + exact.asarray(move)
        assert unrolled(FORM, elsewhere, tasks, rates) > unrolled(FORM, star, tasks, rates)


@settings(max_examples=20, deadline=None)
@given(st.lists(quadratic_batches(), min_size=2, max_size=3), st.lists(numbers, min_size=2, max_size=2))
def test_the_reversed_product_errs_by_the_commutators_times_the_squared_rate(batches, v):
    v, task = exact.asarray(v), (batches, QUERY)
    rate = line(exact.asarray(0), exact.asarray(1))
    P, _ = adaptation(still(task), [rate] * len(batches))
    error = P.T @ still(v) - P @ still(v)
    commutators = sum((A @ (B @ v) - B @ (A @ v) for (A, _), (B, _) in combinations(batches, 2)), 0 * v)
    assert same(exact.asarray(coefficient(error, 0)), 0)
    assert same(exact.asarray(coefficient(error, 1)), 0)
    assert same(exact.asarray(coefficient(error, 2)), commutators)


def order_error(theta, matrices):
    """The squared length of the error of the reversed product, relative to that of the gradient."""
    task = ([(A, ORIGIN) for A in matrices], QUERY)
    rates = [HALF] * len(matrices)
    P, _ = adaptation(task, rates)
    truth = per_step_gradient(FORM, theta, [task], rates).value
    error = P @ adjoints(FORM, theta, task, rates)[-1] - truth
    return (error @ error) / (truth @ truth)


def test_the_order_of_the_product_shows_only_where_the_hessians_of_two_steps_do_not_commute():
    theta, diagonal = exact.asarray([3, -1]), exact.asarray([[3, 0], [0, 1]])
    assert order_error(theta, [A0, A1]) > exact.asarray("1/4")
    assert order_error(theta, [A0, A1, A0]) == 0  # a palindrome
    assert order_error(theta, [A0]) == 0  # one step
    assert order_error(theta, [A0, A0, A0]) == 0  # the same quadratic at every step
    assert order_error(theta, [A1, diagonal]) == 0  # Hessians that commute


def test_the_gradients_on_balls_enclose_those_on_rationals():
    theta, rates = exact.asarray(["1/3", -1]), exact.asarray(["1/7", "2/5"])
    task = ([(A0, ORIGIN), (A1, theta)], QUERY)
    with exact.precision(256):
        pair = lambda batch: tuple(exact.balls(x) for x in batch)
        balls = exact.balls(theta), [([pair(b) for b in task[0]], pair(QUERY))], exact.balls(rates)
        for found, truth in (
            (per_step_gradient(FORM, *balls).value, per_step_gradient(FORM, theta, [task], rates).value),
            (rate_gradients(FORM, *balls).value, rate_gradients(FORM, theta, [task], rates).value),
            (affine_gradient(*balls), affine_gradient(theta, [task], rates)),
            (affine_minimiser(*balls[1:]), affine_minimiser([task], rates)),
        ):
            (low, high), truth = exact.bounds(found), exact.to_fractions(truth)
            assert np.all((low <= truth) & (truth <= high))
            assert np.all(high - low < Fraction(1, 2**200))
