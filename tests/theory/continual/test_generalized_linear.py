"""Generalised linear models: derivatives by truncated series, Fisher matrices by expectation over labels."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from helpers.jets import JETS, coefficient, line

from refgrad import exact
from refgrad.contracts import continual, tools
from refgrad.contracts.continual import logits
from refgrad.contracts.tools import EXACT_TABLE
from refgrad.errors import SingularMatrix
from refgrad.theory.continual import distributions
from refgrad.theory.continual import generalized_linear as glm

BITS = 256


def a(x):
    return exact.asarray(x)


X, theta, v = a([[1, 2], [3, -1], [-1, "1/2"]]), a(["1/2", "-1/3"]), a([2, 5])
W, V = a([1, "-1/2", 0, "1/3", 2, -1]), a([2, -1, "1/2", 3, -2, 5])
p = a(["1/3", "3/4", "1/5"])
P = a([["1/2", "1/3", "1/6"], ["1/4", "1/4", "1/2"], ["3/5", "1/5", "1/5"]])
BINARY, COUNTS, REAL = np.array([1, 0, 1]), np.array([2, 0, 5]), a([1, "1/2", -3])
LOSSES = {
    "gaussian": (glm.LinearGaussian(EXACT_TABLE, 3), theta, REAL, v),
    "logistic": (glm.Logistic(EXACT_TABLE), theta, BINARY, v),
    "poisson": (glm.Poisson(EXACT_TABLE), theta, COUNTS, v),
    "squared odds": (glm.SquaredOdds(EXACT_TABLE), theta, BINARY, v),
    "softmax": (glm.SoftmaxRegression(EXACT_TABLE, 3), W, np.array([2, 0, 1]), V),
}
RATIONAL = ("gaussian", "squared odds")


def log_sum_exp(z):
    return JETS.log(JETS.sum(JETS.exp(z), 0))


LIKELIHOODS = {
    "gaussian": lambda eta, y: (y - eta) ** 2 / 6,
    "logistic": lambda eta, y: -JETS.log(1 / (1 + JETS.exp(-eta)) if y else 1 / (1 + JETS.exp(eta))),
    "poisson": lambda eta, y: -JETS.log(JETS.exp(eta) ** int(y) / JETS.exp(JETS.exp(eta))),
    "squared odds": lambda eta, y: -JETS.log(eta**2 / (1 + eta**2) if y else 1 / (1 + eta**2)),
    "softmax": lambda eta, y: log_sum_exp(eta) - eta[y],
}
"""The negative log-likelihood of one example, from the probability of its label."""


def written_out(name, t, X, y):
    """The mean of the likelihoods one by one."""
    eta = X @ (t.reshape((2, 3)) if name == "softmax" else t)
    values = [LIKELIHOODS[name](eta[n], y[n]) for n in range(3)]
    return (values[0] + values[1] + values[2]) / 3


def still(x):
    return line(x, 0 * x) if hasattr(x, "field") else x


def overlap(x, y):
    """Whether two arrays of balls may be equal, and are tight enough for that to mean something."""
    assert all(float(e.rad()) < 2.0**-200 for e in [*np.ravel(x), *np.ravel(y)])
    assert np.shape(x) == np.shape(y)
    return all(e.overlaps(f) for e, f in zip(np.ravel(x), np.ravel(y), strict=True))


def basis(n):
    return [a([int(i == j) for j in range(n)]) for i in range(n)]


def in_balls(*arrays):
    return [exact.balls(x) if hasattr(x, "field") else x for x in arrays]


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_and_its_derivatives_are_those_of_the_series_of_the_likelihood(name):
    loss, t, y, direction = LOSSES[name]
    with exact.precision(BITS):
        t, inputs, y, direction = in_balls(t, X, y, direction)
        g, hv = loss.grad(t, (inputs, y)), loss.hvp(t, (inputs, y), direction)
        value = loss(t, (inputs, y))
        for i, e in enumerate(exact.balls(u) for u in basis(len(t))):
            series = written_out(name, line(t, e), still(inputs), still(y))
            assert overlap(value.data, coefficient(series, 0))
            assert overlap(g[i].data, coefficient(series, 1))
        along = written_out(name, line(t, direction), still(inputs), still(y))
        assert overlap((direction @ hv).data, 2 * coefficient(along, 2))
        assert overlap(hv.data, coefficient(loss.grad(line(t, direction), (still(inputs), still(y))), 1))


@pytest.mark.parametrize("name", RATIONAL)
def test_rational_derivatives_are_equal_to_those_of_the_series(name):
    loss, t, y, direction = LOSSES[name]
    batch = (still(X), still(y))
    assert np.all(loss.hvp(t, (X, y), direction).data == coefficient(loss.grad(line(t, direction), batch), 1))


def test_a_rational_score_is_the_derivative_of_the_probability_over_the_probability():
    loss = glm.SquaredOdds(EXACT_TABLE)
    eta = line(theta, 0 * theta + 1)
    for y, probability in ((1, eta * eta / (1 + eta * eta)), (0, 1 / (1 + eta * eta))):
        ratio = exact.asarray(coefficient(probability, 1)) / exact.asarray(coefficient(probability, 0))
        assert np.all(loss.slopes(theta, y) == -ratio)


def test_the_linear_gaussian_loss_is_the_quadratic_one_over_the_variance():
    loss, t, y, direction = LOSSES["gaussian"]
    quadratic = tools.Quadratic(EXACT_TABLE)
    assert loss(t, (X, y)) == quadratic(t, (X, y)) / 3
    assert np.all(loss.grad(t, (X, y)) == quadratic.grad(t, (X, y)) / 3)
    assert np.all(loss.hvp(t, (X, y), direction) == quadratic.hvp(t, (X, y), direction) / 3)


@pytest.mark.parametrize("name", LOSSES)
def test_the_terms_of_a_gradient_are_the_sizes_of_the_gradients_of_single_examples(name):
    loss, t, y, _ = LOSSES[name]
    with exact.precision(BITS):
        t, inputs, y = in_balls(t, X, y)
        sizes = [abs(loss.grad(t, (inputs[n : n + 1], y[n : n + 1]))) for n in range(3)]
        assert overlap(loss.grad_terms(t, (inputs, y)).data, ((sizes[0] + sizes[1] + sizes[2]) / 3).data)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "softmax"])
def test_the_terms_of_a_product_are_its_sizes_for_single_examples_and_coordinates(name):
    loss, t, y, direction = LOSSES[name]
    with exact.precision(BITS):
        t, inputs, y, *parts = in_balls(t, X, y, *(direction * e for e in basis(2)))
        direction = exact.balls(direction)
        total = 0 * t
        for n, part in product(range(3), parts):
            total = total + abs(loss.hvp(t, (inputs[n : n + 1], y[n : n + 1]), part)) / 3
        assert overlap(loss.hvp_terms(t, (inputs, y), direction).data, total.data)


def test_the_terms_of_a_softmax_product_are_written_out():
    loss, t, y, direction = LOSSES["softmax"]
    with exact.precision(BITS):
        t, inputs, direction = in_balls(t, X, direction)
        q = logits.softmax(EXACT_TABLE, loss.logits(t, inputs))
        total = 0 * t
        for n, i, c, j, k in product(range(3), range(2), range(3), range(2), range(3)):
            curvature = q[n, c] * int(c == k) + q[n, c] * q[n, k]
            total[3 * i + c] += abs(inputs[n, i]) * curvature * abs(direction[3 * j + k]) * abs(inputs[n, j]) / 3
        assert overlap(loss.hvp_terms(t, (inputs, y), direction).data, total.data)


def dense(loss, t, batch):
    """The Hessian, column by column."""
    return np.stack([loss.hvp(t, batch, exact.balls(e)).data for e in basis(len(t))], axis=1)


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("gaussian", (a([1, 2, 3]), a([0, 0, "1/7"]))),
        ("logistic", ([0, 0, 0], [1, 0, 1])),
        ("poisson", ([0, 7, 1], [2, 2, 2])),
        ("softmax", ([0, 0, 0], [2, 1, 0])),
    ],
)
def test_with_a_canonical_link_the_hessian_is_the_fisher_information_whatever_the_labels(name, labels):
    loss, t = LOSSES[name][:2]
    with exact.precision(BITS):
        t, inputs, *labels = in_balls(t, X, *labels)
        for y in labels:
            assert overlap(
                dense(loss, t, (inputs, y if hasattr(y, "field") else np.array(y))), loss.fisher(t, inputs).data
            )


def test_with_another_link_only_the_hessian_expected_over_labels_is_the_fisher_information():
    loss, t, y, _ = LOSSES["squared odds"]
    F = loss.fisher(t, X)

    def hessian(labels):
        return exact.asarray(np.stack([loss.hvp(t, (X, labels), e).data for e in basis(2)], axis=1))

    assert not np.all(hessian(y) == F)
    squares = (X @ t) * (X @ t)
    odds = squares / (1 + squares)
    expected = 0 * F
    for labels in np.ndindex(2, 2, 2):
        chance = 1
        for n in range(3):
            chance = chance * (odds[n] if labels[n] else 1 - odds[n])
        expected = expected + chance * hessian(np.array(labels))
    assert np.all(expected == F)
    squared_scores = 0 * F
    for n in range(3):
        for label in (0, 1):
            s = loss.grad(t, (X[n : n + 1], np.array([label])))
            squared_scores = squared_scores + (odds[n] if label else 1 - odds[n]) * s[:, None] * s / 3
    assert np.all(squared_scores == F)


def outer_mean(scores):
    """``1/3 sum_n E s s^T`` from pairs of a chance and a score."""
    total = 0
    for chance, s in scores:
        total = total + chance * s[:, None] * s
    return total / 3


def test_each_fisher_matrix_is_the_expected_outer_product_of_the_scores_over_the_labels():
    binary = [(p[n] if y else 1 - p[n], (y - p[n]) * X[n]) for n in range(3) for y in (0, 1)]
    assert np.all(outer_mean(binary) == glm.logistic_fisher(X, p))
    rates = a([1, 2, "1/2"])
    # 0 and 1 + m with chances 1 / (1 + m) and m / (1 + m) have mean m and variance m, which is all that is needed
    counts = [(n, w / (1 + m), k) for n, m in enumerate(rates) for w, k in ((1, 0 * m), (m, 1 + m))]
    for n, m in enumerate(rates):
        assert sum(w * k for at, w, k in counts if at == n) == m
        assert sum(w * (k - m) * (k - m) for at, w, k in counts if at == n) == m
    poisson = [(w, (k - rates[n]) * X[n]) for n, w, k in counts]
    assert np.all(outer_mean(poisson) == glm.poisson_fisher(X, rates))
    gaussian = [(Fraction(1, 2), residual / a(4) * X[n]) for n in range(3) for residual in (2, -2)]
    assert np.all(outer_mean(gaussian) == glm.gaussian_fisher(X, a(4)))


def score(n, c):
    """``x_n kron (e_c - p_n)``, entry by entry in the order of the parameters of linear logits."""
    return a([exact.to_fractions(X[n, i] * (int(c == k) - P[n, k])) for i in range(2) for k in range(3)])


def test_the_softmax_fisher_is_the_expected_outer_product_in_the_order_of_linear_logits():
    F = glm.softmax_fisher(X, P)
    assert np.all(outer_mean([(P[n, c], score(n, c)) for n in range(3) for c in range(3)]) == F)
    J = continual.LinearLogits(EXACT_TABLE, 3).jacobian(W, X)
    pulled = 0
    for n in range(3):
        pulled = pulled + J[n].T @ distributions.CategoricalByLogits(P[n]).information() @ J[n] / 3
    assert np.all(pulled == F)


def test_a_vector_added_to_the_weights_of_all_classes_carries_no_information_and_nothing_else_is_lost():
    F = glm.softmax_fisher(X, P)
    gauge = a([[1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]])
    assert np.all(F @ gauge.T == 0)
    assert not np.all(F @ a([1, 0, 1, 0, 1, 0]) == 0)  # the same vector in the order of the transposed weights
    with pytest.raises(SingularMatrix):
        tools.checked_solve(F, W)
    assert tools.checked_solve(F + gauge.T @ gauge, W).shape == (6,)  # rank (C - 1) d = 4


def test_the_trace_of_the_softmax_fisher_is_the_mean_of_squared_inputs_times_the_gini_impurity():
    F = glm.softmax_fisher(X, P)
    total = sum(X[n, i] ** 2 * P[n, c] * (1 - P[n, c]) for n in range(3) for i in range(2) for c in range(3)) / 3
    assert sum(F[i, i] for i in range(6)) == total


def test_the_diagonals_are_the_fisher_diagonals():
    F = glm.gaussian_fisher(X, a("2/3"))
    assert np.all(
        a([exact.to_fractions(F[i, i]) for i in range(2)]) == continual.gaussian_fisher_diagonal(X, a("2/3")).value
    )
    loss, t, y, _ = LOSSES["softmax"]
    with exact.precision(BITS):
        t, inputs = in_balls(t, X)
        full = loss.fisher(t, inputs).data
        assert overlap(np.diag(full), continual.fisher_diagonal(loss.logits, t, inputs, y).value.data)


def test_the_empirical_fisher_of_a_gaussian_model_is_the_true_one_where_squared_residuals_are_the_variance():
    residuals = a([3, -1, "1/2"])
    scores = [(1, residuals[n] / a("2/3") * X[n]) for n in range(3)]
    assert np.all(outer_mean(scores) == glm.gaussian_empirical_fisher(X, residuals, a("2/3")))
    assert not np.all(glm.gaussian_empirical_fisher(X, residuals, a("2/3")) == glm.gaussian_fisher(X, a("2/3")))
    assert np.all(glm.gaussian_empirical_fisher(X, a([2, -2, 2]), a(4)) == glm.gaussian_fisher(X, a(4)))
    assert np.all(glm.gaussian_empirical_fisher(X, 0 * residuals, a(4)) == 0)


def test_classes_that_change_names_change_the_order_of_the_fisher_matrix_and_nothing_else():
    order = [2, 0, 1]
    places = [3 * i + c for i in range(2) for c in order]
    F = glm.softmax_fisher(X, P)
    assert np.all(glm.softmax_fisher(X, P[:, order]) == F[places][:, places])
    assert not np.all(glm.softmax_fisher(X, P[:, order]) == F)


def test_examples_that_are_repeated_leave_the_mean_as_it_is():
    twice = X.table.concat([X, X], 0)
    assert np.all(glm.softmax_fisher(twice, P.table.concat([P, P], 0)) == glm.softmax_fisher(X, P))
    assert np.all(glm.logistic_fisher(twice, p.table.concat([p, p], 0)) == glm.logistic_fisher(X, p))
    assert np.all(glm.gaussian_fisher(twice, a(3)) == glm.gaussian_fisher(X, a(3)))
