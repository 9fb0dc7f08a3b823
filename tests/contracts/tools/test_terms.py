"""Formulas in plain arithmetic state their own magnitude."""

import numpy as np
import pytest

from refgrad import exact
from refgrad.backend import of
from refgrad.contracts.tools import Terms, checked_solve, measured, settled, terms
from refgrad.errors import Inconclusive

A, B = np.array([[1.0, -2.0], [3.0, 4.0]]), np.array([5.0, -6.0])


@pytest.mark.parametrize(
    ("formula", "magnitude"),
    [
        (lambda a, b: a @ b, [1 * 5 + 2 * 6, 3 * 5 + 4 * 6]),
        (lambda a, b: b - a @ b, [5 + 17, 6 + 39]),
        (lambda a, b: (a @ b) ** 2, [17**2, 9**2]),
        (lambda a, b: settled(a @ b) * b, [17 * 5, 9 * 6]),
        (lambda a, b: (a @ b) * b, [17 * 5, 39 * 6]),
        (lambda a, b: of(a).sum(a, (0,), False) / 2, [2, 3]),
        (lambda a, b: checked_solve(a, b), [0.8, 2.1]),
        (lambda a, b: of(a).maximum(b, -b), [5, 6]),
        (lambda a, b: of(a).concat([b, a[0] - b], 0), [5, 6, 6, 8]),
        (lambda a, b: of(a).where(np.array([True, False]), a[0] - b, b), [6, 6]),
        (lambda a, b: a.T[0] - b if b[0] > b[1] else b, [6, 9]),
        (lambda a, b: 1 / b + 0 * b, [0.2, 1 / 6]),
    ],
)
def test_the_magnitude_counts_every_term_and_the_value_is_the_formulas(formula, magnitude):
    found = measured(formula)(exact.asarray(A), exact.asarray(B))
    assert exact.error(found.magnitude.astype(float), exact.asarray(np.array(magnitude, float))) < 1e-14
    again = exact.evaluate(formula, A, B)
    assert exact.to_fractions(found.value).tolist() == again.low.tolist()


def test_floats_and_exact_numbers_give_the_same():
    formula = measured(lambda a, b: b - a @ b)
    found, truth = formula(A, B), formula(exact.asarray(A), exact.asarray(B))
    assert found.value.tolist() == truth.value.astype(float).tolist()
    assert found.magnitude.tolist() == truth.magnitude.astype(float).tolist()


def test_balls_keep_their_value_and_get_a_magnitude():
    pytest.importorskip("flint", reason="balls need python-flint, which the extra exact brings")
    x = exact.balls(exact.asarray([1, -1]))
    found = measured(lambda x: of(x).exp(x) - 1)(x)
    assert exact.bounds(found.magnitude)[0].astype(float) == pytest.approx([np.e + 1, np.exp(-1) + 1], rel=1e-15)


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x


def test_arrays_in_the_attributes_of_objects_count_as_well():
    found = measured(lambda f, x: f(x) - x)(Scaled(exact.asarray(3)), exact.asarray([2, -1]))
    assert exact.to_fractions(found.value).tolist() == [4, -2]
    assert found.magnitude.astype(float).tolist() == [8, 4]


def test_terms_beyond_the_range_of_floats_decide_nothing():
    with pytest.raises(Inconclusive, match="beyond the range"):
        measured(lambda x: x**3 - x**3)(exact.asarray([1e200]))


def test_comparisons_and_conditions_are_those_of_values():
    x = terms(np.array([1.0, -2.0])) - 3
    assert isinstance(x, Terms)
    assert (x < 0).tolist() == [True, True]
    assert (x == np.array([-2.0, 0.0])).tolist() == [True, False]
    assert bool(x[0])
    assert len(x) == 2
    assert x.ndim == 1
