"""Directions through a shared encoder against explicit gradients, truncated series, finite steps and known values."""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import multitask
from refgrad.contracts.multitask.closed_forms import orthogonal
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.errors import SingularMatrix
from refgrad.strategies.matrices import orthogonal as orthogonal_matrices
from refgrad.strategies.matrices import unit_triangular
from refgrad.strategies.numbers import integers, matrix, rationals
from refgrad.theory.multitask import encoder_examples
from refgrad.theory.multitask.encoder_examples import disjoint_labels, rank_one, relu_network, three_tasks, two_samples
from refgrad.theory.multitask.encoder_networks import LinearEncoder, ReluEncoder, at
from refgrad.theory.multitask.shared_encoder import SharedEncoder

EXAMPLES = (two_samples, three_tasks, rank_one, disjoint_labels, relu_network)
FEW = settings(max_examples=30, deadline=None)


def same(a, b):
    return bool(np.all(a == b))


def numbers(*values):
    return exact.asarray(list(values))


def identity(n):
    return exact.asarray(np.eye(n, dtype=int))


@st.composite
def encoders(draw):
    """Gradients by a representation of two to four entries, and a Jacobian of full row rank: triangular, then wider."""
    Z = exact.asarray(draw(task_gradients("crisp"))["J"])
    q = Z.shape[1]
    square = exact.asarray(draw(unit_triangular(q, integers(2))))
    more = exact.asarray(draw(matrix(rationals(2), q, draw(st.integers(1, 2)))))
    return SharedEncoder(Z, square.table.concat([square, more], 1))


@st.composite
def linear_networks(draw):
    p, N, K = (draw(st.integers(1, 3)) for _ in range(3))
    X, targets = draw(matrix(rationals(3), N, p)), draw(matrix(rationals(3), K, N))
    network = LinearEncoder(*(exact.asarray(x) for x in (X, targets, draw(matrix(st.integers(0, 1), K, N)))))
    return network, exact.asarray(draw(matrix(rationals(3), 2, p)))


@st.composite
def relu_networks(draw):
    H, q, K = (draw(st.integers(1, 3)) for _ in range(3))
    heads, targets = draw(matrix(rationals(3), K, q)), draw(matrix(rationals(3), 1, K))
    network = ReluEncoder(exact.asarray(draw(rationals(3))), exact.asarray(heads), exact.asarray(targets)[0], H)
    return network, exact.asarray(draw(matrix(rationals(3), 2, 2 * H + q * H + q)))


def still(network):
    """A network whose arrays are series that do not move."""
    arrays = {f.name: getattr(network, f.name) for f in fields(network) if f.name != "hidden"}
    return replace(network, **{name: line(x, 0 * x) for name, x in arrays.items()})


NETWORKS = st.one_of(linear_networks(), relu_networks())


@settings(max_examples=60, deadline=None)
@given(NETWORKS)
def test_derivatives_of_the_networks_are_the_coefficients_of_their_series(problem):
    network, (theta, v) = problem
    moving, series = line(theta, v), still(network)
    assert same(coefficient(series.losses(moving), 0), network.losses(theta).data)
    assert same(exact.asarray(coefficient(series.losses(moving), 1)), network.gradients(theta) @ v)
    assert same(exact.asarray(coefficient(series.losses(moving), 2) * 2), network.hvps(theta, v) @ v)
    assert same(exact.asarray(coefficient(series.gradients(moving), 1)), network.hvps(theta, v))
    assert same(exact.asarray(coefficient(series.representation(moving), 1)), network.encoder_jacobian(theta) @ v)


@settings(max_examples=60, deadline=None)
@given(NETWORKS)
def test_the_gradients_are_those_by_the_representation_times_the_jacobian(problem):
    network, (theta, _) = problem
    assert same(at(network, theta).gradients, network.gradients(theta))


@FEW
@given(relu_networks())
def test_the_losses_of_the_relu_network_are_those_of_loops_over_its_units(problem):
    network, (theta, _) = problem
    x, heads, targets = (exact.to_fractions(a) for a in (network.x, network.heads, network.targets))
    theta, H, q = list(exact.to_fractions(theta)), network.hidden, heads.shape[1]
    h = [max(theta[j] * x + theta[H + j], 0) for j in range(H)]
    z = [sum(theta[2 * H + i * H + j] * h[j] for j in range(H)) + theta[2 * H + q * H + i] for i in range(q)]
    for k, loss in enumerate(exact.to_fractions(network.losses(exact.asarray(theta)))):
        y = sum(heads[k, i] * z[i] for i in range(q))
        assert loss == (y - targets[k]) ** 2 / 2


def test_a_hidden_unit_at_the_kink_passes_no_derivative():
    # a = b x + e = (2, -1) * 3 + (-6, 4) = (0, 1): the first unit is at the kink, the second above it
    network = ReluEncoder(exact.asarray(3), exact.asarray([[1], [2]]), numbers(5, 7), hidden=2)
    theta, v = numbers(2, -1, -6, 4, 4, 1, 0), numbers(1, 0, 1, 0, 0, 0, 0)
    assert same(network.hidden_layer(theta)[1], numbers(0, 1))
    assert same(network.representation(theta), numbers(1))
    # y - t = (-4, -5), so that dL/dz = (-4, -10), and by a_2 it is that times A_12 = 1
    rows = [[0, 3 * g, 0, g, 0, g, g] for g in (-4, -10)]
    assert same(network.gradients(theta), exact.asarray(rows))
    assert same(network.encoder_jacobian(theta), exact.asarray([[0, 3, 0, 1, 0, 1, 1]]))
    assert same(network.hvps(theta, v), 0)  # b_1 and e_1 move nothing


@FEW
@given(linear_networks())
def test_the_losses_of_the_linear_network_are_sums_over_labelled_samples(problem):
    network, (theta, _) = problem
    X, targets, labelled, w = (exact.to_fractions(a) for a in (network.X, network.targets, network.labelled, theta))
    for k, loss in enumerate(exact.to_fractions(network.losses(theta))):
        errors = [X[n] @ w - targets[k, n] for n in range(len(X)) if labelled[k, n]]
        assert loss == sum(e * e for e in errors) / 2


@FEW
@given(encoders())
def test_the_rates_by_two_products_are_the_products_with_the_gradients_of_all_tasks(encoder):
    for update in (encoder.exact(), encoder.upper_bound(), encoder.gauss_newton()):
        assert same(update.rates, encoder.gradients @ update.direction)
        assert update.raised == [k for k, g in enumerate(encoder.gradients) if g @ update.direction < 0]


@FEW
@given(encoders())
def test_the_exact_direction_serves_every_task_by_at_least_its_squared_norm(encoder):
    update = encoder.exact()
    u = update.direction
    assert same(u, update.weights @ encoder.gradients)
    assert update.rates.min() == u @ u
    assert all(weight == 0 or rate == u @ u for weight, rate in zip(update.weights, update.rates, strict=True))


@FEW
@given(encoders())
def test_the_cheap_direction_has_weights_of_the_representation_and_a_positive_weighted_rate(encoder):
    update = encoder.upper_bound()
    d = update.weights @ encoder.Z
    assert multitask.gap(encoder.Z, update.weights) == 0
    assert same(update.direction, update.weights @ encoder.gradients)
    assert update.weights @ update.rates == update.direction @ update.direction == d @ encoder.kernel @ d
    if np.any(d != 0):
        assert any(weight > 0 and rate > 0 for weight, rate in zip(update.weights, update.rates, strict=True))
    if len(encoder.Z) == 2:
        assert len(update.raised) <= 1


def test_a_cheap_direction_that_raises_a_loss_is_no_rarity():
    drawn = draws(encoders(), 60)
    assert sum(bool(encoder.upper_bound().raised) for encoder in drawn) >= 5


@FEW
@given(encoders())
def test_with_full_row_rank_the_cheap_direction_vanishes_exactly_at_stationary_points(encoder):
    stationary = same(encoder.exact().direction, 0)
    assert same(encoder.upper_bound().direction, 0) == stationary
    assert same(encoder.gauss_newton().direction, 0) == stationary


@FEW
@given(encoders())
def test_the_gauss_newton_step_moves_the_representation_by_its_shortest_vector(encoder):
    update = encoder.gauss_newton()
    d = multitask.direction(encoder.Z).value
    assert same(encoder.jacobian @ update.direction, d)
    assert same(update.rates, encoder.Z @ d)
    assert update.rates.min() == d @ d
    # of all steps that do so it is the shortest: orthogonal to the null space, a basis of which is [-S^-1 R, I]
    q = len(encoder.jacobian)
    square, rest = encoder.jacobian[:, :q], encoder.jacobian[:, q:]
    null = square.table.concat([-square.table.solve(square, rest), identity(rest.shape[1])], 0)
    assert same(encoder.jacobian @ null, 0)
    assert same(null.T @ update.direction, 0)


@FEW
@given(task_gradients("crisp"), orthogonal_matrices(4), st.integers(1, 3))
def test_where_the_kernel_is_a_multiple_of_the_identity_all_three_directions_agree(inputs, Q, c):
    Z = exact.asarray(inputs["J"])
    encoder = SharedEncoder(Z, c * exact.asarray(Q)[: Z.shape[1]])
    assert same(encoder.kernel, c * c * identity(Z.shape[1]))
    cheap, right, newton = encoder.upper_bound(), encoder.exact(), encoder.gauss_newton()
    assert cheap.raised == []
    assert same(cheap.direction, right.direction)
    assert same(cheap.direction, c * c * newton.direction)


@FEW
@given(task_gradients("crisp"), orthogonal_matrices(4), st.lists(st.integers(1, 4), min_size=4, max_size=4))
def test_the_cheap_direction_is_longer_than_the_shortest_by_at_most_the_condition_number(inputs, Q, singular):
    Z = exact.asarray(inputs["J"])
    singular = singular[: Z.shape[1]]
    encoder = SharedEncoder(Z, numbers(*singular)[:, None] * exact.asarray(Q)[: Z.shape[1]])
    u, v = encoder.upper_bound().direction, encoder.exact().direction
    d = multitask.direction(Z).value
    assert v @ v <= u @ u
    assert min(singular) ** 2 * (u @ u) <= max(singular) ** 2 * (v @ v)
    assert u @ u <= max(singular) ** 2 * (d @ d)


RATES = {
    two_samples: (["1/2", "1/2"], [-1, 3], ["1/5", "1/5"]),
    three_tasks: (["3/4", "1/4", 0], [-1, 7, -3], ["1/5", "1/5", "1/5"]),
    rank_one: (["4/5", "1/5"], ["3/5", "-3/5"], [0, 0]),
    disjoint_labels: (["4/5", "1/5"], ["2/5", "-4/5"], [0, 0]),
    relu_network: (["1/2", "1/2"], ["-1/2", "15/2"], ["97/46", "97/46"]),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_have_their_known_weights_and_rates(example):
    weights, cheap, right = RATES[example]
    encoder = at(*example())
    assert same(encoder.upper_bound().weights, numbers(*weights))
    assert same(encoder.upper_bound().rates, numbers(*cheap))
    assert same(encoder.exact().rates, numbers(*right))


def test_every_example_is_among_the_tested_ones():
    assert {f.__name__ for f in EXAMPLES} == set(encoder_examples.__all__)


@pytest.mark.parametrize("example", EXAMPLES)
def test_a_small_step_of_the_cheap_direction_raises_the_losses_with_negative_rates(example):
    network, theta = example()
    update = at(network, theta).upper_bound()
    after = network.losses(theta - update.direction / 1000)
    rose = [k for k, (new, old) in enumerate(zip(after, network.losses(theta), strict=True)) if new > old]
    assert rose == update.raised != []


def test_on_two_samples_one_step_has_its_known_losses():
    network, theta = two_samples()
    encoder = at(network, theta)
    assert same(network.losses(theta), numbers(1, 1))
    assert same(network.losses(theta - encoder.upper_bound().direction / 10), numbers("9/8", "29/40"))
    assert same(network.losses(theta - encoder.exact().direction / 10), numbers("4901/5000", "4901/5000"))
    assert same(encoder.exact().weights, numbers("7/10", "3/10"))
    assert same(encoder.exact().direction, numbers("1/5", "2/5"))


def test_the_relu_network_has_its_known_gradients_kernel_and_directions():
    network, theta = relu_network()
    encoder = at(network, theta)
    g = [[-1, 1, -1, 1, *["1/2"] * 4, 1, 1], [3, -1, 3, -1, "1/2", "1/2", "-1/2", "-1/2", 1, -1]]
    assert same(network.representation(theta), numbers("1/2", "-1/2"))
    assert same(network.losses(theta), numbers("1/2", "1/2"))
    assert same(network.gradients(theta), exact.asarray(g))
    assert same(encoder.kernel, exact.asarray([["7/2", -4], [-4, "23/2"]]))
    assert same(encoder.upper_bound().direction, numbers(1, 0, 1, 0, "1/2", "1/2", 0, 0, 1, 0))
    v = ["7/23", "8/23", "7/23", "8/23", "1/2", "1/2", "4/23", "4/23", 1, "8/23"]
    assert same(encoder.exact().direction, numbers(*v))
    assert same(encoder.exact().weights, numbers("31/46", "15/46"))
    assert same(encoder.gauss_newton().rates, numbers(1, 1))


@pytest.mark.parametrize("inverse", [10, 100, 1000])
def test_on_the_relu_network_the_cheap_step_raises_a_loss_where_the_exact_step_lowers_both(inverse):
    network, theta = relu_network()
    before, encoder = network.losses(theta), at(network, theta)
    cheap = network.losses(theta - encoder.upper_bound().direction / inverse)
    right = network.losses(theta - encoder.exact().direction / inverse)
    repaired = network.losses(theta - encoder.gauss_newton().direction / inverse)
    assert cheap[0] > before[0]
    assert same(right < before, True)
    assert same(repaired < before, True)


def test_on_the_relu_network_the_cheap_step_of_a_tenth_has_the_loss_found_by_hand():
    # h = 1/2 - 2/10 and 1/2; A = [[19/20, -1/20], [-2, 1]]; c = (-1/10, 0)
    network, theta = relu_network()
    moved = theta - at(network, theta).upper_bound().direction / 10
    assert same(network.representation(moved), numbers("4/25", "-1/10"))
    assert same(network.losses(moved), numbers("2809/5000", "169/5000"))


@pytest.mark.parametrize("example", [rank_one, disjoint_labels])
def test_without_full_row_rank_the_cheap_direction_moves_at_a_stationary_point_and_there_is_no_repair(example):
    encoder = at(*example())
    assert same(encoder.exact().direction, 0)
    assert np.any(encoder.upper_bound().direction != 0)
    with pytest.raises(SingularMatrix):
        encoder.gauss_newton()


def test_on_disjoint_labels_one_cheap_step_has_the_losses_found_by_hand():
    # theta = (-1/25, 0), z = (-1/25, 1/25): the first task sees -1/25 + 1, the second 1/25 + 2
    network, theta = disjoint_labels()
    update = at(network, theta).upper_bound()
    assert same(network.losses(theta), numbers("1/2", 2))
    assert same(network.losses(theta - update.direction / 10), numbers("288/625", "2601/1250"))


@FEW
@given(linear_networks(), st.lists(st.booleans(), min_size=3, max_size=3))
def test_labels_on_disjoint_samples_give_the_weights_of_orthogonal_gradients_whatever_the_conflict(problem, owners):
    network, (theta, _) = problem
    N = len(network.X)
    owner = numbers(*[int(first) for first in owners[:N]])
    apart = LinearEncoder(network.X, exact.asarray([[1] * N, [2] * N]), exact.asarray([owner, 1 - owner]))
    encoder = at(apart, 0 * theta)
    if same((encoder.Z * encoder.Z).sum(1) > 0, True):
        assert same(encoder.upper_bound().weights, orthogonal(encoder.Z).value)
    else:
        assert same(encoder.upper_bound().direction, 0)


def test_the_networks_enclose_their_rational_rates_on_balls():
    network, theta = relu_network()
    # heads of thirds are no binary numbers
    network = replace(network, heads=network.heads / 3)
    with exact.precision(128):
        lifted = {name: exact.balls(getattr(network, name)) for name in ("x", "heads", "targets")}
        low, high = exact.bounds(at(replace(network, **lifted), exact.balls(theta)).upper_bound().rates)
    rates = exact.to_fractions(at(network, theta).upper_bound().rates)
    assert all(a <= rate <= b < a + Fraction(1, 2**100) for a, rate, b in zip(low, rates, high, strict=True))
