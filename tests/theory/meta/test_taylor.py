"""Expected directions as series in the inner rate: against the algorithms run on series, over every draw there is."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts.meta.per_step import per_step_gradient
from refgrad.contracts.meta.quadratic_form import QuadraticForm
from refgrad.contracts.tools import EXACT_TABLE, Quartic
from refgrad.errors import InvalidInput
from refgrad.theory.meta.taylor import (
    average_gradient,
    average_gradient_inner,
    fomaml_expansion,
    fomaml_second_coefficient,
    maml_expansion,
    maml_second_coefficient,
    reptile_expansion,
)

LOSS = Quartic(EXACT_TABLE)
RATE = line(exact.asarray(0), exact.asarray(1))
numbers = st.integers(-2, 2)


def same(a, b):
    return bool(np.all(a == b))


def still(x):
    """Arrays, in tuples and lists, as series that do not move."""
    return line(x, 0 * x) if isinstance(x, exact.ExactArray) else type(x)(still(part) for part in x)


def order(series, k):
    return exact.asarray(coefficient(series, k))


@st.composite
def pools(draw, count=3):
    """theta and `count` minibatches of two examples."""
    batches = [
        (exact.asarray([[draw(numbers), 1], [1, draw(numbers)]]), exact.asarray([draw(numbers), draw(numbers)]))
        for _ in range(count)
    ]
    return exact.asarray([draw(numbers), "1/2"]), batches


def maml(path, draw):
    v = LOSS.grad(path[-1], draw[-1])
    for point, batch in reversed(list(zip(path[:-1], draw[:-1], strict=True))):
        v = v - RATE * LOSS.hvp(point, batch, v)
    return v


def fomaml(path, draw):
    return LOSS.grad(path[-1], draw[-1])


def reptile(path, draw):
    return sum(LOSS.grad(point, batch) for point, batch in zip(path, draw, strict=True))


def expected(direction, theta, batches, gradients, replacement=False):
    """The mean over all draws of a direction, as a series in the rate; the path has as many points as gradients."""
    draws = product(batches, repeat=gradients) if replacement else permutations(batches, gradients)
    found = []
    for draw in still(list(draws)):
        path = [still(theta)]
        for batch in draw[:-1]:
            path.append(path[-1] - RATE * LOSS.grad(path[-1], batch))
        found.append(direction(path, draw))
    return sum(found) / len(found)


METHODS = [(maml, maml_expansion), (fomaml, fomaml_expansion), (reptile, reptile_expansion)]


@pytest.mark.parametrize("replacement", [False, True])
@pytest.mark.parametrize("gradients", [1, 2, 3])
@pytest.mark.parametrize(("direction", "expansion"), METHODS, ids=["maml", "fomaml", "reptile"])
@settings(max_examples=3, deadline=None)
@given(pool=pools())
def test_the_coefficients_are_those_of_the_algorithm_averaged_over_all_draws(
    direction, expansion, gradients, replacement, pool
):
    theta, batches = pool
    series = expected(direction, theta, batches, gradients, replacement)
    found = expansion(LOSS, theta, batches, gradients, replacement=replacement)
    assert same(found.constant, order(series, 0))
    assert same(found.slope, order(series, 1))


@pytest.mark.parametrize("steps", [1, 2])
@settings(max_examples=3, deadline=None)
@given(pool=pools())
def test_with_the_query_minibatch_counted_apart_there_is_one_gradient_more_than_steps(steps, pool):
    theta, batches = pool
    tasks = [(list(draw[:steps]), draw[steps]) for draw in permutations(batches, steps + 1)]
    series = per_step_gradient.plain(LOSS, still(theta), still(tasks), [RATE] * steps)
    slope = maml_expansion(LOSS, theta, batches, steps + 1).slope
    assert same(slope, order(series, 1))
    assert same(slope, -2 * steps * average_gradient_inner(LOSS, theta, batches))


@pytest.mark.parametrize("replacement", [False, True])
@settings(max_examples=5, deadline=None)
@given(pool=pools())
def test_the_second_coefficients_for_two_gradients_are_those_of_the_algorithm(replacement, pool):
    theta, batches = pool
    squares = [order(expected(method, theta, batches, 2, replacement), 2) for method in (maml, fomaml, reptile)]
    first_order = fomaml_second_coefficient(LOSS, theta, batches, replacement=replacement)
    assert same(squares[0], maml_second_coefficient(LOSS, theta, batches, replacement=replacement))
    assert same(squares[1], first_order)
    assert same(squares[2], first_order)


@settings(max_examples=10, deadline=None)
@given(pools(), st.lists(numbers, min_size=2, max_size=2))
def test_the_third_derivative_of_the_quartic_loss_is_that_of_its_series(pool, u):
    theta, batches = pool
    u = exact.asarray(u)
    for batch in batches:
        series = LOSS.grad(line(theta, u), still(batch))
        assert same(LOSS.third(theta, batch, u), 2 * order(series, 2))


def gradient_of(f, theta):
    """The gradient at theta of a function of series."""
    units = [exact.asarray([int(i == j) for j in range(len(theta))]) for i in range(len(theta))]
    return [order(f(line(theta, e)), 1) for e in units]


@settings(max_examples=10, deadline=None)
@given(pools())
def test_the_inner_vector_is_half_the_gradient_of_the_mean_inner_product_of_two_gradients(pool):
    theta, batches = pool
    count = len(batches)

    def inner(theta, pairs):
        found = [LOSS.grad(theta, a) @ LOSS.grad(theta, b) for a, b in still(pairs)]
        return sum(found) / len(found)

    distinct = gradient_of(lambda theta: inner(theta, list(permutations(batches, 2))), theta)
    alone = gradient_of(lambda theta: inner(theta, [(b, b) for b in batches]), theta)
    for i in range(len(theta)):
        assert 2 * average_gradient_inner(LOSS, theta, batches)[i] == distinct[i]
        # a minibatch meets itself once in `count` draws
        mixture = ((count - 1) * distinct[i] + alone[i]) / count
        assert 2 * average_gradient_inner(LOSS, theta, batches, replacement=True)[i] == mixture


def test_one_full_batch_used_again_is_a_pool_of_one_with_replacement():
    theta, batch = exact.asarray([1, "1/2"]), (exact.asarray([[2, 1], [1, -1]]), exact.asarray([1, 0]))
    found = maml_expansion(LOSS, theta, [batch], 3, replacement=True)
    g = LOSS.grad(theta, batch)
    assert same(found.constant, g)
    assert same(found.slope, -4 * LOSS.hvp(theta, batch, g))


def test_two_scalar_quadratics_have_the_averages_computed_by_hand():
    form, theta = QuadraticForm(), exact.asarray([2])
    batches = [(exact.asarray([[1]]), exact.asarray([0])), (exact.asarray([[3]]), exact.asarray([1]))]
    assert average_gradient(form, theta, batches)[0] == Fraction(2 + 3, 2)
    assert average_gradient_inner(form, theta, batches)[0] == Fraction(3 * 2 + 1 * 3, 2)
    assert average_gradient_inner(form, theta, batches, replacement=True)[0] == Fraction(6 + 3 + 1 * 2 + 3 * 3, 4)


def test_a_query_set_from_elsewhere_is_not_exchangeable_and_has_another_series():
    theta = exact.asarray([1, "1/2"])
    batches = [(exact.asarray([[k, 1], [1, -k]]), exact.asarray([k, 1])) for k in (0, 1, 2)]
    tasks = [([batch], batches[-1]) for batch in batches[:-1]]
    series = per_step_gradient.plain(LOSS, still(theta), still(tasks), [RATE])
    for pool in (batches, batches[:-1]):
        found = maml_expansion(LOSS, theta, pool, 2)
        assert not same(found.constant, order(series, 0))
        assert not same(found.slope, order(series, 1))


def test_more_distinct_minibatches_than_there_are_or_none_are_refused():
    theta = exact.asarray([1])
    batches = [(exact.asarray([[k]]), exact.asarray([1])) for k in (1, 2)]
    for _, expansion in METHODS:
        for gradients in (0, 3):
            with pytest.raises(InvalidInput, match=f"got {gradients}"):
                expansion(LOSS, theta, batches, gradients)
        assert expansion(LOSS, theta, batches, 3, replacement=True).constant.shape == (1,)
    with pytest.raises(InvalidInput, match="at least 2 distinct minibatches, got 1"):
        average_gradient_inner(LOSS, theta, batches[:1])


def test_the_coefficients_on_balls_enclose_those_on_rationals():
    theta = exact.asarray(["1/3", 1])
    batches = [(exact.asarray([[k, 1], [1, -k]]), exact.asarray([k, 1])) for k in (0, 1, 2)]
    with exact.precision(256):
        balls = exact.balls(theta), [tuple(exact.balls(x) for x in batch) for batch in batches]
        for method in (average_gradient, average_gradient_inner, maml_second_coefficient):
            low, high = exact.bounds(method(LOSS, *balls))
            truth = exact.to_fractions(method(LOSS, theta, batches))
            assert np.all((low <= truth) & (truth <= high))
            assert np.all(high - low < Fraction(1, 2**200))
