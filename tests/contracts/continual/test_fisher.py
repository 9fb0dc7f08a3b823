"""The Fisher diagonals against sums over examples and labels of differentiated log-probabilities; and variants."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import Rationals, draws
from helpers.jets import coefficient, line

from refgrad import exact
from refgrad.contracts import continual, get
from refgrad.contracts.continual.fisher_variants import EMPIRICAL_FISHER_VARIANTS, FISHER_VARIANTS
from refgrad.contracts.tools import EXACT_TABLE, NotApplicable

VARIANT = {v.name: v.answer for v in (*FISHER_VARIANTS, *EMPIRICAL_FISHER_VARIANTS)}
CONTRACT = get("fisher_diagonal")
BITS = 256


def problems(kind, count=8):
    return [CONTRACT.arguments(p.inputs, Rationals) for p in draws(CONTRACT.problems[kind](), count)]


def log_probabilities(logits, theta, X):
    """``z_nc - log sum_k exp z_nk`` without a shift, shape (N, C)."""
    z = logits(theta, X)
    return z - EXACT_TABLE.reshape(EXACT_TABLE.log(EXACT_TABLE.sum(EXACT_TABLE.exp(z), 1)), (z.shape[0], 1))


def differentiated(logits, theta, X):
    """Probabilities (N, C), and derivatives (N, C, p) of log-probabilities by truncated series, as balls."""
    columns = []
    for i in range(len(theta)):
        e = exact.balls([int(i == j) for j in range(len(theta))])
        columns.append(coefficient(log_probabilities(logits, line(theta, e), line(X, 0 * X)), 1))
    p = EXACT_TABLE.exp(log_probabilities(logits, theta, X))
    return p.data, np.stack(columns, axis=2)


def overlap(a, b):
    """Whether two arrays of balls may be equal, and are tight enough for that to mean something."""
    assert all(float(x.rad()) < 2.0**-100 for x in [*np.ravel(a), *np.ravel(b)])
    return all(x.overlaps(y) for x, y in zip(np.ravel(a), np.ravel(b), strict=True))


def mean(terms):
    return sum(terms) / len(terms)


FORMULAS = {
    "true": lambda p, s, y: mean([sum(p[n, c] * s[n, c] ** 2 for c in range(3)) for n in range(len(y))]),
    "empirical": lambda p, s, y: mean([s[n, y[n]] ** 2 for n in range(len(y))]),
    "batch-mean-squared": lambda p, s, y: mean([s[n, y[n]] for n in range(len(y))]) ** 2,
    "batch-sum-squared": lambda p, s, y: sum(s[n, y[n]] for n in range(len(y))) ** 2,
    "batch-mean-squared-sum": lambda p, s, y: len(y) * mean([s[n, y[n]] for n in range(len(y))]) ** 2,
    "batch-mean-squared-by-two": lambda p, s, y: mean(
        [mean([s[n, y[n]] for n in range(len(y))[k : k + 2]]) ** 2 for k in range(0, len(y), 2)]
    ),
    "n-over-n-minus-1": lambda p, s, y: (
        sum(p[n, c] * s[n, c] ** 2 for c in range(3) for n in range(len(y))) / (len(y) - 1)
    ),
    "empirical-n-over-n-minus-1": lambda p, s, y: sum(s[n, y[n]] ** 2 for n in range(len(y))) / (len(y) - 1),
    "sum-over-examples": lambda p, s, y: sum(p[n, c] * s[n, c] ** 2 for c in range(3) for n in range(len(y))),
    "empirical-sum": lambda p, s, y: sum(s[n, y[n]] ** 2 for n in range(len(y))),
    "empirical-over-n": lambda p, s, y: sum((s[n, y[n]] / len(y)) ** 2 for n in range(len(y))),
    "probability-weighted-data-label": lambda p, s, y: mean([p[n, y[n]] * s[n, y[n]] ** 2 for n in range(len(y))]),
    "gradient-of-probability": lambda p, s, y: mean([(p[n, y[n]] * s[n, y[n]]) ** 2 for n in range(len(y))]),
    "uniform-labels": lambda p, s, y: mean([sum(s[n, c] ** 2 for c in range(3)) / 3 for n in range(len(y))]),
    "all-labels-unweighted": lambda p, s, y: mean([sum(s[n, c] ** 2 for c in range(3)) for n in range(len(y))]),
    "absolute-gradient": lambda p, s, y: mean([abs(s[n, y[n]]) for n in range(len(y))]),
    "summed-log-probabilities": lambda p, s, y: mean([sum(s[n, c] for c in range(3)) ** 2 for n in range(len(y))]),
    "zero": lambda p, s, y: 0 * s[0, 0],
    "argmax-label": lambda p, s, y: mean([s[n, likely(p[n])] ** 2 for n in range(len(y))]),
    "top-class-truncation": lambda p, s, y: mean([p[n, likely(p[n])] * s[n, likely(p[n])] ** 2 for n in range(len(y))]),
}


def likely(p):
    return max(range(3), key=lambda c: (float(p[c].mid()), -c))


def test_every_variant_of_either_contract_has_an_independent_formula_here():
    assert set(FORMULAS) == set(VARIANT)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_diagonal_equals_its_sum_of_differentiated_log_probabilities(name):
    for logits, theta, X, y in problems("rough"):
        with exact.precision(BITS):
            theta, X = exact.balls(theta), exact.balls(X)
            try:
                answer = VARIANT[name](logits, theta, X, y)
            except NotApplicable:
                assert len(y) == 1
                continue
            assert overlap(answer.value.data, FORMULAS[name](*differentiated(logits, theta, X), y))
            assert np.all(exact.bounds(abs(answer.value))[0] <= exact.bounds(answer.magnitude)[1])


def test_the_quantities_are_the_true_and_the_empirical_diagonal():
    for call in problems("crisp"):
        for name, quantity in (("true", continual.fisher_diagonal), ("empirical", continual.empirical_fisher_diagonal)):
            a, b = exact.evaluate(VARIANT[name], *call), exact.evaluate(quantity, *call)
            assert np.all(a.low.value == b.low.value)
            assert np.all(a.high.value == b.high.value)


def test_the_true_diagonal_ignores_the_labels_and_the_empirical_one_does_not():
    logits, theta, X, y = next(call for call in problems("crisp", 20) if np.any(exact.to_fractions(call[2]) != 0))
    others = (y + 1) % 3
    for quantity, same in ((continual.fisher_diagonal, True), (continual.empirical_fisher_diagonal, False)):
        a, b = (exact.evaluate(quantity, logits, theta, X, labels).low.value for labels in (y, others))
        assert bool(np.all(a == b)) == same


def test_equal_examples_have_the_diagonal_of_one():
    logits, theta, X, y = problems("crisp")[-1]
    one = exact.evaluate(continual.fisher_diagonal, logits, theta, X[:1], y[:1])
    many = exact.evaluate(continual.fisher_diagonal, logits, theta, X.table.concat([X[:1]] * 4), np.repeat(y[:1], 4))
    assert np.all(one.low.value <= many.high.value)
    assert np.all(many.low.value <= one.high.value)


def test_a_linear_model_at_zero_has_p_times_one_minus_p_times_the_mean_squared_input():
    logits = continual.LinearLogits(EXACT_TABLE, 3)
    X = exact.asarray([[1, 2], [3, -1]])
    found = exact.evaluate(continual.fisher_diagonal, logits, exact.asarray([0] * 6), X, np.array([0, 1]))
    expected = [Fraction(2, 9) * q for q in (5, 5, 5, Fraction(5, 2), Fraction(5, 2), Fraction(5, 2))]
    assert all(a <= e <= b for a, e, b in zip(found.low.value, expected, found.high.value, strict=True))


def test_the_gaussian_diagonal_is_the_expected_squared_score_over_two_point_residuals():
    X, theta = exact.asarray([[1, 2], [3, -1], [0, 5]]), exact.asarray([2, 7])
    variance = exact.asarray(4)
    # residuals +2 and -2 with equal weight have variance 4, which is all the squared score depends on
    total = 0
    for n in range(3):
        for residual in (2, -2):
            score = (X[n] @ theta + residual - X[n] @ theta) / variance * X[n]
            total = total + score * score / 2
    assert np.all(continual.gaussian_fisher_diagonal(X, variance).value == total / 3)
