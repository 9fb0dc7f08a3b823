"""Fisher information of single distributions: by expectation over the model, as a covariance, and in other coordinates.

Expectations are exact: finite sums for labels, factorial moments for counts, and rational distributions with the same
moments for the normal and the exponential, whose scores are polynomials.
"""

from __future__ import annotations

from dataclasses import fields, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from helpers.jets import JETS, coefficient, line

from refgrad import exact
from refgrad.contracts.tools.assemble import vector
from refgrad.theory.continual import distributions as d

BITS = 256
STANDARD_NORMAL = {
    0: Fraction(1, 2),
    1: Fraction(1, 6),
    -1: Fraction(1, 6),
    2: Fraction(1, 12),
    -2: Fraction(1, 12),
}
STANDARD_EXPONENTIAL = {0: Fraction(1, 2), 2: Fraction(1, 2)}


def a(x):
    return exact.asarray(x)


def moment(weights, k):
    return sum(w * x**k for x, w in weights.items())


def test_the_matched_distributions_have_the_moments_that_the_scores_need():
    assert [moment(STANDARD_NORMAL, k) for k in range(6)] == [1, 0, 1, 0, 3, 0]
    assert [moment(STANDARD_EXPONENTIAL, k) for k in range(3)] == [1, 1, 2]


def enumerated(p):
    """The expectation over labels 0, 1, ... with rational probabilities."""
    return lambda f: sum((p[x] * f(x) for x in range(1, len(p))), start=p[0] * f(0))


def over_counts(rate):
    """The expectation of a polynomial of degree 4 over Poisson counts.

    ``f(x) = sum_k (Delta^k f)(0) binom(x, k)``, and the factorial moments ``E x (x-1) ... (x-k+1)`` are ``rate^k``.
    """

    def expectation(f):
        differences, total, factor = [f(x) for x in range(5)], 0, 1
        for k in range(5):
            total = total + factor * differences[0]
            differences = [after - before for before, after in pairwise(differences)]
            factor = factor * rate / (k + 1)
        return total

    return expectation


def at(weights, place, scale):
    """The expectation over ``place + scale x`` with the distribution of x given."""
    return lambda f: sum(w * f(place + scale * x) for x, w in weights.items())


p, probabilities, rate = a("1/3"), a(["1/12", "1/6", "1/4", "1/2"]), a("5/2")
mean, deviation, variance = a("-7/2"), a("2/3"), a("4/9")
normal = at(STANDARD_NORMAL, mean, deviation)
CASES = {
    "bernoulli by probability": (d.BernoulliByProbability(p), enumerated([1 - p, p])),
    "bernoulli by logit": (d.BernoulliByLogit(p), enumerated([1 - p, p])),
    "categorical by probabilities": (d.CategoricalByProbabilities(probabilities), enumerated(probabilities)),
    "categorical by logits": (d.CategoricalByLogits(probabilities), enumerated(probabilities)),
    "poisson by rate": (d.PoissonByRate(rate), over_counts(rate)),
    "poisson by log rate": (d.PoissonByLogRate(rate), over_counts(rate)),
    "exponential by rate": (d.ExponentialByRate(rate), at(STANDARD_EXPONENTIAL, 0 * rate, 1 / rate)),
    "gaussian by deviation": (d.GaussianByDeviation(mean, deviation), normal),
    "gaussian by log deviation": (d.GaussianByLogDeviation(mean, deviation), normal),
    "gaussian by variance": (d.GaussianByVariance(mean, variance), normal),
}


@pytest.mark.parametrize("name", CASES)
def test_the_expected_score_is_zero_and_its_covariance_is_the_information(name):
    model, expectation = CASES[name]
    zero = expectation(model.score)
    assert np.all(zero == 0)
    assert zero.shape == model.information().shape[:1]
    assert np.all(expectation(lambda x: model.score(x)[:, None] * model.score(x)) == model.information())


@pytest.mark.parametrize("name", CASES)
def test_the_expected_derivative_of_the_score_is_minus_the_information(name):
    model, expectation = CASES[name]
    assert np.all(expectation(model.score_derivative) == -model.information())


def of_logits(z, x):
    """``z_x - log sum_c exp z_c``."""
    return z[x] - z.table.log(z.table.sum(z.table.exp(z), 0))


DENSITIES = {
    "bernoulli by probability": lambda t, x: JETS.log(t[0] if x else 1 - t[0]),
    "bernoulli by logit": lambda t, x: x * t[0] - JETS.log(1 + JETS.exp(t[0])),
    "categorical by probabilities": lambda t, x: JETS.log(t[x] if x < 3 else 1 - t[0] - t[1] - t[2]),
    "categorical by logits": of_logits,
    "poisson by rate": lambda t, x: x * JETS.log(t[0]) - t[0],
    "poisson by log rate": lambda t, x: x * t[0] - JETS.exp(t[0]),
    "exponential by rate": lambda t, x: JETS.log(t[0]) - x * t[0],
    "gaussian by deviation": lambda t, x: -((x - t[0]) ** 2) / t[1] ** 2 / 2 - JETS.log(t[1]),
    "gaussian by log deviation": lambda t, x: -((x - t[0]) ** 2) / JETS.exp(2 * t[1]) / 2 - t[1],
    "gaussian by variance": lambda t, x: -((x - t[0]) ** 2) / t[1] / 2 - JETS.log(t[1]) / 2,
}
"""Logarithms of densities up to constants, in the coordinates by which the class differentiates."""


def coordinates(name):
    """The coordinates as balls."""
    x = exact.balls
    log = x(1).table.log
    return {
        "bernoulli by probability": lambda: vector([x(p)]),
        "bernoulli by logit": lambda: vector([log(x(p) / (1 - x(p)))]),
        "categorical by probabilities": lambda: x(probabilities)[:-1],
        "categorical by logits": lambda: log(x(probabilities)) + 7,
        "poisson by rate": lambda: vector([x(rate)]),
        "poisson by log rate": lambda: vector([log(x(rate))]),
        "exponential by rate": lambda: vector([x(rate)]),
        "gaussian by deviation": lambda: vector([x(mean), x(deviation)]),
        "gaussian by log deviation": lambda: vector([x(mean), log(x(deviation))]),
        "gaussian by variance": lambda: vector([x(mean), x(variance)]),
    }[name]()


def overlap(ball, rational):
    """Whether a tight ball contains a rational number."""
    assert float(ball.rad()) < 2.0**-200
    return ball.overlaps(exact.balls(rational).data.item())


OBSERVATIONS = [(name, x) for name in CASES for x in range(4 if name.startswith("categorical") else 2)]


@pytest.mark.parametrize(("name", "x"), OBSERVATIONS)
def test_the_score_and_its_derivative_are_those_of_the_logarithm_of_the_density(name, x):
    model = CASES[name][0]
    score, derivative = model.score(x), model.score_derivative(x)
    with exact.precision(BITS):
        theta = coordinates(name)
        k = len(theta)
        assert (score.shape, derivative.shape) == ((k,), (k, k))

        def along(*directions):
            v = exact.balls([sum(int(i == j) for j in directions) for i in range(k)])
            y = DENSITIES[name](line(theta, v), x)
            return coefficient(y, 1), 2 * coefficient(y, 2)

        for i in range(k):
            assert overlap(along(i)[0], score[i])
            for j in range(k):
                mixed = (along(i, j)[1] - along(i)[1] - along(j)[1]) / 2  # v^T H v at e_i + e_j, less both squares
                assert overlap(mixed, derivative[i, j])


JACOBIANS = {
    "bernoulli by logit": ("bernoulli by probability", a([["2/9"]])),
    "poisson by log rate": ("poisson by rate", a([["5/2"]])),
    "gaussian by log deviation": ("gaussian by deviation", a([[1, 0], [0, "2/3"]])),
    "gaussian by variance": ("gaussian by deviation", a([[1, 0], [0, "3/4"]])),
    "gaussian by deviation": ("gaussian by variance", a([[1, 0], [0, "4/3"]])),
    "categorical by logits": (
        "categorical by probabilities",
        a(
            [
                ["11/144", "-1/72", "-1/48", "-1/24"],
                ["-1/72", "5/36", "-1/24", "-1/12"],
                ["-1/48", "-1/24", "3/16", "-1/8"],
            ]
        ),
    ),
}
"""From the coordinates of the name to those of the other: the derivatives of theta by phi, worked out by hand.

dp/dlogit = p (1 - p), drate/dlog rate = rate, ds/dlog s = s, ds/dv = 1 / (2 s), dv/ds = 2 s, and
dp_c/dz_k = p_c [c = k] - p_c p_k.
"""


@pytest.mark.parametrize("name", JACOBIANS)
def test_new_coordinates_multiply_the_information_by_their_jacobian_on_both_sides(name):
    other, J = JACOBIANS[name]
    assert np.all(CASES[name][0].information() == J.T @ CASES[other][0].information() @ J)


def test_a_constant_added_to_all_logits_carries_no_information():
    F = CASES["categorical by logits"][0].information()
    assert np.all(F @ a([1, 1, 1, 1]) == 0)
    assert not np.all(F @ a([1, 1, 1, 0]) == 0)


def test_a_bernoulli_distribution_is_a_categorical_one_of_two_labels():
    two = d.CategoricalByProbabilities(a(["1/3", "2/3"]))
    assert np.all(two.information() == d.BernoulliByProbability(a("1/3")).information())
    assert two.information()[0, 0] == Fraction(9, 2)


GIVEN_BY_NUMBERS = [
    (d.BernoulliByProbability("1/3"), d.BernoulliByProbability(p)),
    (d.BernoulliByLogit(Fraction(1, 3)), d.BernoulliByLogit(p)),
    (d.CategoricalByProbabilities(["1/12", Fraction(1, 6), "1/4", "1/2"]), d.CategoricalByProbabilities(probabilities)),
    (d.CategoricalByLogits(("1/12", Fraction(1, 6), "1/4", "1/2")), d.CategoricalByLogits(probabilities)),
    (d.PoissonByRate(Fraction(5, 2)), d.PoissonByRate(rate)),
    (d.PoissonByLogRate("5/2"), d.PoissonByLogRate(rate)),
    (d.ExponentialByRate(2), d.ExponentialByRate(a(2))),
    (d.GaussianByDeviation(Fraction(-7, 2), "2/3"), d.GaussianByDeviation(mean, deviation)),
    (d.GaussianByLogDeviation(3, Fraction(2, 3)), d.GaussianByLogDeviation(a(3), deviation)),
    (d.GaussianByVariance(mean, "4/9"), d.GaussianByVariance(mean, variance)),
]


@pytest.mark.parametrize(("plain", "arrays"), GIVEN_BY_NUMBERS, ids=lambda model: type(model).__name__)
def test_ints_fractions_and_strings_do_for_arrays(plain, arrays):
    for method in (lambda model: model.score(1), lambda model: model.score_derivative(1), lambda m: m.information()):
        assert method(plain).shape == method(arrays).shape
        assert np.all(method(plain) == method(arrays))


def test_every_distribution_is_given_by_plain_numbers_here():
    assert {type(plain) for plain, _ in GIVEN_BY_NUMBERS} == {type(model) for model, _ in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_on_balls_the_information_encloses_the_rational_one(name):
    model = CASES[name][0]
    with exact.precision(BITS):
        same = replace(model, **{field.name: exact.balls(getattr(model, field.name)) for field in fields(model)})
        for ball, rational in zip(same.information().data.flat, model.information().ravel(), strict=True):
            assert overlap(ball, rational)
