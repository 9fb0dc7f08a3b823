"""The Fisher diagonals against sums over examples and labels of differentiated log-probabilities; and variants."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import Rationals, draws
from helpers.jets import coefficient, line

from refgrad import exact
from refgrad.contracts import continual, get
from refgrad.contracts.continual.fisher import Diagonal
from refgrad.contracts.tools import EXACT_TABLE, NotApplicable
from refgrad.contracts.wide import Numbers

CONTRACT, OTHER = get("fisher_diagonal"), get("empirical_fisher_diagonal")
VARIANT = {v.name: v.answer for v in (*CONTRACT.variants, *OTHER.variants)}
BITS = 256


def problem(network, classes, examples):
    """The arguments of a problem with full mantissas."""
    built = CONTRACT.wide.build(Numbers(random.Random(0)), network, classes, examples, "moderate", "any", "usual")
    return CONTRACT.arguments(built, Rationals)


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


def total(terms):
    terms = list(terms)
    return sum(terms[1:], terms[0])


def expected(p, f):
    """The mean over examples of ``sum_c p_nc f(n, c)``."""
    return mean([total(p[n, c] * f(n, c) for c in range(p.shape[1])) for n in range(len(p))])


def top(p, s, k):
    """The terms of the k most likely labels, which are not all."""
    if k >= p.shape[1]:
        raise NotApplicable
    order = [sorted(range(p.shape[1]), key=lambda c: -float(row[c].mid()))[:k] for row in p]
    return mean([total(p[n, c] * s[n, c] ** 2 for c in order[n]) for n in range(len(p))])


def piece(s, y, size):
    """Sums of the scores at the labels over batches, and the batches' sizes."""
    places = [range(k, min(k + size, len(y))) for k in range(0, len(y), size)]
    return [(total(s[n, y[n]] for n in place), len(place)) for place in places]


def squares(s, y, size):
    return [(g / b) ** 2 for g, b in piece(s, y, size)]


FORMULAS = {
    "true": lambda p, s, y: expected(p, lambda n, c: s[n, c] ** 2),
    "empirical": lambda p, s, y: mean([s[n, y[n]] ** 2 for n in range(len(y))]),
    "batch-mean-squared": lambda p, s, y: mean([s[n, y[n]] for n in range(len(y))]) ** 2,
    "batch-sum-squared": lambda p, s, y: total(s[n, y[n]] for n in range(len(y))) ** 2,
    "batch-mean-squared-sum": lambda p, s, y: len(y) * mean([s[n, y[n]] for n in range(len(y))]) ** 2,
    "batch-mean-squared-by-two": lambda p, s, y: mean(squares(s, y, 2)),
    "batch-mean-squared-by-three": lambda p, s, y: mean(squares(s, y, 3)),
    "n-over-n-minus-1": lambda p, s, y: expected(p, lambda n, c: s[n, c] ** 2) * len(y) / (len(y) - 1),
    "empirical-n-over-n-minus-1": lambda p, s, y: total(s[n, y[n]] ** 2 for n in range(len(y))) / (len(y) - 1),
    "sum-over-examples": lambda p, s, y: expected(p, lambda n, c: s[n, c] ** 2) * len(y),
    "empirical-sum": lambda p, s, y: total(s[n, y[n]] ** 2 for n in range(len(y))),
    "empirical-over-n": lambda p, s, y: total((s[n, y[n]] / len(y)) ** 2 for n in range(len(y))),
    "probability-weighted-data-label": lambda p, s, y: mean([p[n, y[n]] * s[n, y[n]] ** 2 for n in range(len(y))]),
    "gradient-of-probability": lambda p, s, y: mean([(p[n, y[n]] * s[n, y[n]]) ** 2 for n in range(len(y))]),
    "uniform-labels": lambda p, s, y: mean([mean(list(row**2)) for row in s]),
    "all-labels-unweighted": lambda p, s, y: mean([total(row**2) for row in s]),
    "absolute-gradient": lambda p, s, y: mean([abs(s[n, y[n]]) for n in range(len(y))]),
    "summed-log-probabilities": lambda p, s, y: mean([total(row) ** 2 for row in s]),
    "zero": lambda p, s, y: 0 * s[0, 0],
    "argmax-label": lambda p, s, y: mean([s[n, likely(p[n])] ** 2 for n in range(len(y))]),
    "next-label": lambda p, s, y: mean([s[n, y[(n + 1) % len(y)]] ** 2 for n in range(len(y))]),
    "top-class-truncation": lambda p, s, y: mean([p[n, likely(p[n])] * s[n, likely(p[n])] ** 2 for n in range(len(y))]),
    "top-two-classes": lambda p, s, y: top(p, s, 2),
    "top-three-classes": lambda p, s, y: top(p, s, 3),
}
"""Every single variant of derivatives of log-probabilities, written out again."""


def likely(p):
    return max(range(len(p)), key=lambda c: (float(p[c].mid()), -c))


def test_every_variant_of_either_contract_has_an_independent_formula_here():
    assert {*FORMULAS, "uncoupled-logits"} == set(VARIANT)


@pytest.mark.parametrize("name", FORMULAS)
def test_each_diagonal_equals_its_sum_of_differentiated_log_probabilities(name):
    met = 0
    for logits, theta, X, y in [*problems("rough"), problem("tanh", 4, 7), problem("squared", 5, 8)]:
        with exact.precision(BITS):
            theta, X = exact.balls(theta), exact.balls(X)
            try:
                answer = VARIANT[name](logits, theta, X, y)
            except NotApplicable:
                assert len(y) == 1 or name in ("top-three-classes", "top-two-classes")
                continue
            assert overlap(answer.value.data, FORMULAS[name](*differentiated(logits, theta, X), y))
            largest = exact.bounds(answer.magnitude)[1] * (1 + Fraction(1, 2**40))  # known in float64
            assert np.all(exact.bounds(abs(answer.value))[0] <= largest)
            met += 1
    assert met >= 2


@pytest.mark.parametrize("network", ["linear", "squared", "tanh"])
def test_logits_that_are_taken_for_uncoupled_lack_the_products_of_two_classes(network):
    logits, theta, X, y = problem(network, 3, 4)
    with exact.precision(BITS):
        theta, X = exact.balls(theta), exact.balls(X)
        p, s = differentiated(logits, theta, X)
        left_out = 0  # the Jacobian is s plus the same vector for each class, so that differences tell
        for n in range(len(y)):
            J = logits.jacobian(theta, X).data[n]
            left_out += total(2 * p[n, a] * p[n, b] * J[a] * J[b] for b in range(3) for a in range(b)) / len(y)
        found = VARIANT["uncoupled-logits"](logits, theta, X, y).value.data
        assert overlap(found, FORMULAS["true"](p, s, y) + left_out)
        assert bool(all(x.contains(0) for x in left_out)) == (network == "linear")


NAMED = {
    "argmax-label-with-n-over-n-minus-1": lambda p, s, y: total(s[n, y[n]] ** 2 for n in range(9)) / 8,
    "batch-mean-squared-by-three-summed": lambda p, s, y: total(squares(s, y, 3)),
    "batch-mean-squared-by-three-over-n": lambda p, s, y: total(squares(s, y, 3)) / 9,
    "batch-mean-squared-by-eight": lambda p, s, y: mean(squares(s, y, 8)),
    "batch-mean-squared-by-eight-last-dropped": lambda p, s, y: squares(s, y, 8)[0],
    "batch-sum-squared-by-eight": lambda p, s, y: mean([g**2 for g, _ in piece(s, y, 8)]),
    "batch-mean-squared-times-size-by-two": lambda p, s, y: mean([g**2 / b for g, b in piece(s, y, 2)]),
    "batch-mean-squared-over-n": lambda p, s, y: total(s[n, y[n]] for n in range(9)) ** 2 / 729,
    "argmax-label-with-batch-mean-squared-by-two-summed": lambda p, s, y: total(squares(s, y, 2)),
    "argmax-label-with-batch-mean-squared-sum": lambda p, s, y: total(s[n, y[n]] for n in range(9)) ** 2 / 9,
    "argmax-label-with-batch-mean-squared-times-size-by-two": lambda p, s, y: mean(
        [g**2 / b for g, b in piece(s, y, 2)]
    ),
    "probability-weighted-data-label-with-over-padded-batches-of-eight": lambda p, s, y: (
        total(p[n, y[n]] * s[n, y[n]] ** 2 for n in range(9)) / 16
    ),
    "over-number-of-batches-of-two": lambda p, s, y: expected(p, lambda n, c: s[n, c] ** 2) * 9 / 5,
    "mean-of-batch-means-of-eight": lambda p, s, y: (
        (expected(p[:8], lambda n, c: s[n, c] ** 2) + expected(p[8:], lambda n, c: s[8, c] ** 2)) / 2
    ),
    "expected-absolute-gradient": lambda p, s, y: expected(p, lambda n, c: abs(s[n, c])),
    "top-two-classes-with-divided-by-classes": lambda p, s, y: top(p, s, 2) / 4,
}
"""What public code computes with two choices of its own, on nine examples of four classes."""


@pytest.mark.parametrize("name", NAMED)
def test_two_deviations_at_once_have_a_name_and_its_value(name):
    logits, theta, X, y = problem("squared", 4, 9)
    with exact.precision(BITS):
        theta, X = exact.balls(theta), exact.balls(X)
        p, s = differentiated(logits, theta, X)
        labels = [likely(row) for row in p] if name.startswith("argmax") else y
        (found,) = [v.answer(logits, theta, X, y) for v in CONTRACT.products() if v.name == name]
        assert overlap(found.value.data, NAMED[name](p, s, labels))


def test_no_formula_has_two_names_and_no_name_two_formulas():
    for contract, own in ((CONTRACT, Diagonal()), (OTHER, Diagonal("data"))):
        every = [*contract.variants, *contract.products()]
        assert len({v.name for v in every}) == len(every) == len({v.answer.plain for v in every})
        assert own not in {v.answer.plain for v in every}
        assert len({v.formula for v in every}) == len(every)
    both = {v.answer.plain for v in (*CONTRACT.variants, *CONTRACT.products()) if v.answer.plain != Diagonal("data")}
    assert both == {v.answer.plain for v in (*OTHER.variants, *OTHER.products())} - {Diagonal()}


def test_the_quantities_are_the_true_and_the_empirical_diagonal():
    for call in problems("crisp"):
        for name, quantity in (("true", continual.fisher_diagonal), ("empirical", continual.empirical_fisher_diagonal)):
            a, b = exact.evaluate(VARIANT[name], *call), exact.evaluate(quantity, *call)
            assert np.all(a.low.value == b.low.value)
            assert np.all(a.high.value == b.high.value)


def test_the_true_diagonal_ignores_the_labels_and_the_empirical_one_does_not():
    logits, theta, X, y = problem("tanh", 3, 5)
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
