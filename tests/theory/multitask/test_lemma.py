"""The false lemma against its counterexamples, and what is true in its place against explicit spectra."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import multitask
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.contracts.tools import NotApplicable
from refgrad.errors import InvalidInput, Undecided
from refgrad.strategies.matrices import orthogonal, spd, symmetric, unit_triangular
from refgrad.strategies.numbers import integers, matrix, rationals, vector
from refgrad.theory.multitask.lemma import (
    counterexample,
    is_positive_definite,
    is_sign_safe,
    smallest_product,
    tight_matrix,
    violation,
)
from refgrad.theory.multitask.preconditioned import min_norm_in_metric, preconditioned_min_norm
from refgrad.theory.multitask.shared_encoder import SharedEncoder

FEW = settings(max_examples=30, deadline=None)
POSITIVE = st.builds(Fraction, st.integers(1, 9), st.integers(1, 5))
PYTHAGOREAN = ((1, 0, 1), (3, 4, 5), (-3, 4, 5), (5, -12, 13), (-15, -8, 17), (0, 1, 1))


def same(a, b):
    return bool(np.all(a == b))


def numbers(*values):
    return exact.asarray(list(values))


def identity(n):
    return exact.asarray(np.eye(n, dtype=int))


def determinant(rows):
    """By the expansion along the first row."""
    if not rows:
        return Fraction(1)
    minors = ([row[:j] + row[j + 1 :] for row in rows[1:]] for j in range(len(rows)))
    return sum((-1) ** j * rows[0][j] * determinant(minor) for j, minor in enumerate(minors))


def has_positive_minors(M):
    """Sylvester's criterion."""
    rows = [list(row) for row in exact.to_fractions(M)]
    return all(determinant([row[:n] for row in rows[:n]]) > 0 for n in range(1, len(rows) + 1))


@st.composite
def vectors_of_rational_length(draw):
    """Two vectors of four rational entries and their lengths."""
    Q = exact.asarray(draw(orthogonal(4)))
    found = []
    for _ in range(2):
        a, b, length = draw(st.sampled_from(PYTHAGOREAN))
        scale = draw(POSITIVE)
        found += [scale * (a * Q[0] + b * Q[1]), scale * length]
    return found


@st.composite
def spectra(draw):
    """A symmetric matrix of order 4, and its smallest and largest eigenvalue."""
    Q, eigenvalues = exact.asarray(draw(orthogonal(4))), draw(vector(POSITIVE, 4))
    return (Q * exact.asarray(eigenvalues)) @ Q.T, min(eigenvalues), max(eigenvalues)


def test_the_counterexample_is_positive_definite_and_reverses_the_sign():
    found = counterexample()
    assert same(found.M, exact.asarray([[1, -2], [-2, 5]]))
    assert is_positive_definite(found.M)
    assert has_positive_minors(found.M)
    assert found.plain == 1
    assert found.curved == -1


@FEW
@given(st.integers(1, 4).flatmap(symmetric))
def test_positive_pivots_are_positive_leading_minors(M):
    M = exact.asarray(M)
    assert is_positive_definite(M) == has_positive_minors(M)


@FEW
@given(st.integers(1, 4).flatmap(spd))
def test_a_matrix_that_is_put_together_positive_definite_is_found_to_be(M):
    M = exact.asarray(M)
    assert is_positive_definite(M)
    assert not is_positive_definite(-M)
    assert not is_positive_definite(M - M[0, 0] * identity(len(M)))


def test_a_matrix_that_is_not_symmetric_is_not_positive_definite():
    assert not is_positive_definite(exact.asarray([[2, 1], [0, 2]]))


def in_balls(rows):
    """A matrix each of whose entries is a ball of its own, the mirror images too."""
    return exact.balls(exact.asarray(rows))


def test_balls_that_enclose_symmetric_matrices_are_judged_by_these():
    with exact.precision(128):
        assert is_positive_definite(in_balls([["4/3", "1/3"], ["1/3", "1/5"]]))
        assert not is_positive_definite(in_balls([["4/3", "2/3"], ["2/3", "1/5"]]))
        assert not is_positive_definite(in_balls([["4/3", "1/3"], ["2/3", "7/5"]]))  # apart from its mirror image
        with pytest.raises(Undecided):
            is_positive_definite(in_balls([["1/3", "1/3"], ["1/3", "1/3"]]))  # singular


def test_in_balls_a_matrix_with_inexact_entries_has_a_violation():
    with exact.precision(128):
        for rows in ([["4/3", "1/3"], ["1/3", "1/5"]], [["1/3", 0, 0], [0, "1/3", 0], [0, 0, "7/5"]]):
            found = violation(in_balls(rows))
            assert found.plain > 0 > found.curved
        with pytest.raises(NotApplicable):
            violation(in_balls([["1/4", 0], [0, "1/4"]]))
        with pytest.raises(Undecided):
            violation(in_balls([["1/3", 0], [0, "1/3"]]))


def test_in_balls_the_tight_matrix_is_found_though_one_entry_of_the_difference_of_directions_vanishes():
    x, y = numbers("1/3", "4/9", 0), numbers("1/3", "-4/9", 0)
    truth = exact.to_fractions(tight_matrix(x, y, 1, 5))
    with exact.precision(128):
        low, high = exact.bounds(tight_matrix(exact.balls(x), exact.balls(y), 1, 5))
        assert np.all((low <= truth) & (truth <= high))
        with pytest.raises(Undecided):
            tight_matrix(exact.balls(x), 2 * exact.balls(x), 1, 5)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 4).flatmap(spd))
def test_every_positive_definite_matrix_but_multiples_of_the_identity_violates_the_claim(M):
    M = exact.asarray(M)
    if same(M, M[0, 0] * identity(len(M))):
        with pytest.raises(NotApplicable):
            violation(M)
        return
    found = violation(M)
    assert found.plain == found.x @ found.y > 0
    assert found.curved == found.x @ M @ found.y < 0
    # the sign goes both ways: -x is a violation of the converse
    assert -found.x @ found.y < 0 < -found.x @ M @ found.y


def test_a_matrix_whose_eigenvectors_are_diagonals_is_violated_too():
    for M in ([[2, 1], [1, 2]], [[3, 1, 1], [1, 3, 1], [1, 1, 3]]):
        found = violation(exact.asarray(M))
        assert found.plain > 0 > found.curved


def test_a_diagonal_matrix_is_violated_by_vectors_that_are_no_axes():
    for diagonal in ([1, 2], [1, 1, 3], [2, 1, 1], [1, 3, 1]):
        found = violation(identity(len(diagonal)) * numbers(*diagonal))
        assert found.plain > 0 > found.curved


@FEW
@given(POSITIVE, matrix(rationals(3), 2, 3))
def test_for_a_multiple_of_the_identity_the_claim_holds_and_no_violation_is_found(c, vectors):
    x, y = exact.asarray(vectors)
    assert x @ (c * identity(3)) @ y == c * (x @ y)
    with pytest.raises(NotApplicable):
        violation(c * identity(3))


@pytest.mark.parametrize("M", [[[1, 2], [2, 1]], [[1, 0], [0, 0]], [[1, 1], [0, 1]], [[-1]]])
def test_a_violation_is_asked_of_positive_definite_matrices_only(M):
    with pytest.raises(InvalidInput, match="positive definite"):
        violation(exact.asarray(M))


@settings(max_examples=60, deadline=None)
@given(spectra(), vectors_of_rational_length())
def test_no_matrix_of_a_spectrum_goes_below_the_smallest_product(spectrum, pair):
    M, m, L = spectrum
    x, length_x, y, length_y = pair
    c = x @ y / (length_x * length_y)
    bound = length_x * length_y * (m * (1 + c) - L * (1 - c)) / 2
    assert smallest_product(x, y, m, L) == bound
    assert x @ M @ y >= bound
    if is_sign_safe(x, y, m, L):
        assert x @ M @ y > 0


@settings(max_examples=60, deadline=None)
@given(vectors_of_rational_length(), POSITIVE, st.integers(0, 40))
def test_the_tight_matrix_has_the_spectrum_and_attains_the_smallest_product(pair, m, more):
    x, length_x, y, length_y = pair
    L = m + more
    M = tight_matrix(x, y, m, L)
    assert x @ M @ y == smallest_product(x, y, m, L)
    assert is_positive_definite(M)
    # (M - m I)(M - L I) = 0: no other eigenvalue
    assert same((M - m * identity(4)) @ (M - L * identity(4)), 0)
    w = x / length_x - y / length_y
    assert same(M @ w, L * w)


@settings(max_examples=60, deadline=None)
@given(vectors_of_rational_length(), POSITIVE, st.integers(0, 40))
def test_the_sign_is_safe_exactly_where_the_smallest_product_is_positive(pair, m, more):
    x, length_x, y, length_y = pair
    L = m + more
    safe = is_sign_safe(x, y, m, L)
    assert safe == (smallest_product(x, y, m, L) > 0)
    c = x @ y / (length_x * length_y)
    assert safe == (c == 1 or bool(L / m < (1 + c) / (1 - c)))


def test_the_threshold_of_a_cosine_of_four_fifths_is_a_condition_number_of_nine():
    x, y = numbers(1, "3/4"), numbers(1, 0)
    assert [is_sign_safe(x, y, 1, kappa) for kappa in (8, 9, 10)] == [True, False, False]
    assert [smallest_product(x, y, 1, kappa) for kappa in (8, 9, 10)] == [Fraction(1, 8), 0, Fraction(-1, 8)]


def test_lengths_that_are_not_rational_are_refused_in_rationals_and_enclosed_by_balls():
    x, y = numbers(1, 1), numbers(1, 0)
    for function in (smallest_product, tight_matrix):
        with pytest.raises(NotApplicable, match="not rational"):
            function(x, y, 1, 5)
    assert [is_sign_safe(x, y, 1, Fraction(kappa, 100)) for kappa in (582, 583)] == [True, False]  # 3 + 2 sqrt 2
    with exact.precision(128):
        low, high = exact.bounds(smallest_product(exact.balls(x), exact.balls(y), 1, 5))
    # 1/2 ((sqrt 2 + 1) - 5 (sqrt 2 - 1)) = 3 - 2 sqrt 2 = 1 / (3 + 2 sqrt 2), a root of t^2 - 6 t + 1
    low, high = low.item(), high.item()
    assert high - low < Fraction(1, 2**100)
    assert low * low - 6 * low + 1 >= 0 >= high * high - 6 * high + 1


# Jacobians whose kernel is a (3, 1)(3, 1)^T + b (-1, 3)(-1, 3)^T with eigenvalues 10 a and 10 b
@pytest.mark.parametrize(("columns", "kappa"), [((2, 2), 8), ((3,), 9), ((1, 3), 10)])
def test_on_an_encoder_the_threshold_is_where_the_rate_of_a_task_turns_negative(columns, kappa):
    Z = exact.asarray([[1, "3/4"], [1, "-3/4"]])
    jacobian = exact.asarray([[3, 1], *[[-c, 3 * c] for c in columns]]).T
    encoder = SharedEncoder(Z, jacobian)
    d = multitask.direction(Z).value
    assert same(d, numbers(1, 0))
    assert same(encoder.kernel, tight_matrix(Z[0], d, 10, 10 * kappa))
    rate = encoder.upper_bound().rates[0]
    assert rate == smallest_product(Z[0], d, 10, 10 * kappa) == Fraction(5, 4) * (9 - kappa)
    assert (0 in encoder.upper_bound().raised) == (kappa > 9)


@FEW
@given(task_gradients("crisp"), orthogonal(4), vector(st.integers(1, 3), 4))
def test_a_well_conditioned_encoder_raises_no_loss(inputs, Q, singular):
    Z = exact.asarray(inputs["J"])
    singular = singular[: Z.shape[1]]
    encoder = SharedEncoder(Z, numbers(*singular)[:, None] * exact.asarray(Q)[: Z.shape[1]])
    d = multitask.direction(Z).value
    update = encoder.upper_bound()
    for z, rate in zip(Z, update.rates, strict=True):
        if is_sign_safe(z, d, min(singular) ** 2, max(singular) ** 2):
            assert rate > 0


@FEW
@given(task_gradients("crisp"), st.integers(0, 3), st.integers(1, 50))
def test_where_the_shortest_vector_is_an_eigenvector_no_loss_rises(inputs, shift, across):
    Z = exact.asarray(inputs["J"]) + shift
    d = multitask.direction(Z).value
    if not np.any(d != 0):
        return
    M = across * identity(len(d)) + (1 - across) / (d @ d) * (d[:, None] * d[None, :])
    assert is_positive_definite(M)
    assert same(M @ d, d)
    update = preconditioned_min_norm(Z, M)
    assert update.rates.min() == d @ d


def test_rates_in_the_metric_may_fall_below_the_norm_of_the_shortest_vector_there():
    J, D = exact.asarray([[3, -1], [-1, 3]]), exact.asarray([[1, 0], [0, 100]])
    update, v = min_norm_in_metric(J, D), multitask.direction(J).value
    w = update.weights @ J
    assert update.rates.min() == w @ D @ w < v @ D @ v == 101


def test_the_preconditioned_direction_of_the_example_raises_the_first_loss():
    J, D = exact.asarray([[3, -1], [-1, 3]]), exact.asarray([[1, 0], [0, 100]])
    update = preconditioned_min_norm(J, D)
    assert same(update.weights, numbers("1/2", "1/2"))
    assert same(update.direction, numbers(1, 100))
    assert same(update.rates, numbers(-97, 299))
    assert same(J @ numbers(1, 1), numbers(2, 2))
    assert min_norm_in_metric(J, D).raised == []


@FEW
@given(task_gradients("crisp"), st.data())
def test_the_metric_is_that_of_an_encoder_whose_kernel_is_the_preconditioner(inputs, data):
    J = exact.asarray(inputs["J"])
    n = J.shape[1]
    root = exact.asarray(data.draw(unit_triangular(n, integers(2)))) * exact.asarray(data.draw(vector(POSITIVE, n)))
    encoder, D = SharedEncoder(J, root), root @ root.T
    for one, other in (
        (preconditioned_min_norm(J, D), encoder.upper_bound()),
        (min_norm_in_metric(J, D), encoder.exact()),
    ):
        assert same(one.direction, root @ other.direction)
        assert same(one.rates, other.rates)


@FEW
@given(task_gradients("crisp"), st.data())
def test_weights_in_the_metric_satisfy_the_optimality_conditions_and_raise_no_loss(inputs, data):
    J = exact.asarray(inputs["J"])
    D = exact.asarray(data.draw(spd(J.shape[1])))
    update = min_norm_in_metric(J, D)
    v = update.weights @ J
    level = v @ D @ v
    assert update.weights.min() >= 0
    assert update.weights.sum() == 1
    assert same(update.direction, D @ v)
    assert same(update.rates, J @ D @ v)
    assert all(r == level if a > 0 else r >= level for a, r in zip(update.weights, update.rates, strict=True))
    assert update.raised == []


@FEW
@given(task_gradients("crisp"))
def test_with_the_identity_as_metric_both_are_the_shortest_vector(inputs):
    J = exact.asarray(inputs["J"])
    for function in (preconditioned_min_norm, min_norm_in_metric):
        assert same(function(J, identity(J.shape[1])).direction, multitask.direction(J).value)
