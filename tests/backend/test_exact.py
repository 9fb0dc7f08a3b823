"""Rationals stay rational, balls enclose, and what would leak a float raises."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import backend, exact, tree
from refgrad.errors import Inconclusive, InvalidInput, NotRational, SingularMatrix, Undecided

A = exact.asarray([[1, "1/3"], [Fraction(2, 5), 4]])
THIRD = Fraction(1, 3)


def test_elements_and_numbers_keep_their_exactness_and_compare_with_ints_and_fractions():
    assert A[0, 1] == THIRD
    assert A[0, 1] == THIRD
    assert A[1, 1] == 4
    assert (A[0, 1].numerator, A[0, 1].denominator) == (1, 3)
    assert exact.to_fractions(A).tolist() == [[1, THIRD], [Fraction(2, 5), 4]]
    assert exact.to_fractions(A[0, 1]) == THIRD
    assert all(type(q) is Fraction for q in exact.to_fractions(A).ravel())
    assert A[0, 1] != Fraction(1, 4)
    assert isinstance(A[0, 1] * 3, exact.ExactArray)


def test_a_float_given_to_asarray_means_its_binary_value_and_a_string_its_decimal_one():
    assert exact.asarray(0.1) == Fraction(3602879701896397, 36028797018963968)
    assert exact.asarray("0.1") == Fraction(1, 10)
    assert exact.asarray(np.float32(0.1)) == Fraction(13421773, 134217728)
    assert exact.asarray(np.array([1, 2])).shape == (2,)
    for bad in (math.nan, math.inf, np.float32("-inf")):
        with pytest.raises(InvalidInput, match="finite"):
            exact.asarray(bad)


@pytest.mark.parametrize(
    "operation",
    [
        lambda a: a + 0.5,
        lambda a: 0.5 * a,
        lambda a: a - np.float64(0.5),
        lambda a: np.eye(2) @ a,
        lambda a: a + np.arange(2.0),
        lambda a: a**0.5,
        lambda a: np.exp(a),
        lambda a: np.log(a),
        lambda a: np.tanh(a),
        lambda a: np.sqrt(a),
        lambda a: a == 0.5,
        lambda a: rnp.maximum(a, 0.1),
        lambda a: rnp.where(a > 0, a, 0.1),
        lambda a: np.dot(np.ones(2), a),
        lambda a: rnp.linalg.solve(a, np.ones(2)),
        lambda a: rnp.linalg.solve(np.eye(2), a),
        lambda a: rnp.concatenate([a, np.ones((1, 2))]),
        lambda a: tree.ravel({"a": a, "b": np.ones(2)}),
        lambda a: a + np.array([0.1, 0.2], object),
        lambda a: a + np.array([1j, 1.0]),
    ],
)
def test_what_would_leave_the_rationals_raises(operation):
    with pytest.raises(NotRational):
        operation(A)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        (lambda a: np.ones_like(a) / 3, [[THIRD, THIRD], [THIRD, THIRD]]),
        (lambda a: np.zeros_like(a) / 3, [[0, 0], [0, 0]]),
        (lambda a: 1 / a, [[1, 3], [Fraction(5, 2), Fraction(1, 4)]]),
        (lambda a: np.sum(a, axis=0), [Fraction(7, 5), Fraction(13, 3)]),
        (lambda a: np.arange(2) @ a, [Fraction(2, 5), 4]),
        (lambda a: (a[:, :0] @ a[:0]) / 3, [[0, 0], [0, 0]]),
        (lambda a: np.sum(a[:0], axis=0) / 3, [0, 0]),
        (lambda a: np.mean(a, axis=1), [Fraction(2, 3), Fraction(11, 5)]),
        (lambda a: np.maximum(a, 1), [[1, 1], [1, 4]]),
        (lambda a: np.where(a > 1, a, 0), [[0, 0], [0, 4]]),
        (lambda a: np.concatenate([a, a])[3], [Fraction(2, 5), 4]),
        (lambda a: np.stack([a[0], a[1]], axis=1), [[1, Fraction(2, 5)], [THIRD, 4]]),
        (lambda a: a**-2, [[1, 9], [Fraction(25, 4), Fraction(1, 16)]]),
        (lambda a: a.T @ np.array([1, 1]), [Fraction(7, 5), Fraction(13, 3)]),
        (lambda a: np.reshape(a, (4,))[::-2], [4, THIRD]),
        (lambda a: abs(-a), [[1, THIRD], [Fraction(2, 5), 4]]),
        (lambda a: np.sign(a - 1), [[0, -1], [-1, 1]]),
    ],
)
def test_numpy_functions_on_rationals_give_rationals(operation, expected):
    found = operation(A)
    assert isinstance(found, exact.ExactArray)
    assert exact.to_fractions(found).tolist() == expected


def test_a_plain_array_is_never_made_behind_ones_back():
    for convert in (np.asarray, lambda a: np.array([a, a]), lambda a: np.linalg.svd(a), lambda a: np.add.reduce(a)):
        with pytest.raises(TypeError):
            convert(A)
    assert A.astype(float).dtype == float
    assert A.astype(float)[0, 1] == 1 / 3
    with pytest.raises(TypeError):
        hash(A)


def test_assigned_elements_are_stored_as_elements():
    b = exact.asarray([1, 2, 3])
    b[0] = A[0, 1]
    b[1:] = 5
    assert exact.to_fractions(b).tolist() == [THIRD, 5, 5]
    assert b[0] == THIRD
    with pytest.raises(NotRational):
        b[0] = 0.5
    with pytest.raises(TypeError, match="exact numbers"):
        b[0] = object()


def test_solving_is_exact_and_a_singular_matrix_is_named():
    xp = backend.of(A)
    x = xp.solve(A, A)
    assert (A @ x == A).all()
    with pytest.raises(SingularMatrix, match="order 2"):
        xp.solve(exact.asarray([[1, 2], [2, 4]]), A)


def test_balls_enclose_and_refuse_comparisons_they_cannot_decide():
    third = exact.balls("1/3")
    low, high = exact.bounds(third)
    assert low[()] < THIRD < high[()]
    assert third * 3 < 2
    with pytest.raises(Undecided):
        bool(third * 3 < 1)
    with pytest.raises(Undecided):
        bool(third * 3 == 1)
    assert exact.balls(1) == 1
    low, high = exact.bounds(np.exp(exact.balls([0, 1])))
    assert (low[0], high[0]) == (1, 1)
    assert Fraction(math.e) - Fraction(1, 2**50) < low[1] <= high[1] < Fraction(math.e) + Fraction(1, 2**50)


def test_the_maximum_of_overlapping_balls_encloses_both():
    wide = exact.balls([0])
    wide.data[0] = type(wide.data[0])(0, 1)  # the ball [-1, 1]
    for larger in (np.maximum(wide, 0), np.maximum(exact.balls([0]), wide)):
        low, high = exact.bounds(larger)
        assert low[0] <= 0
        assert high[0] >= 1
    low, high = exact.bounds(np.minimum(wide, 0))
    assert low[0] <= -1
    assert high[0] >= 0


def test_sums_of_nothing_are_elements_too():
    b = exact.balls([[1, 2]])
    assert (np.exp(b[:, :0] @ b[:, :0].T) == 1).all()
    assert (np.exp(np.sum(b[:0], axis=0)) == 1).all()


def test_run_gives_rationals_where_it_can_and_otherwise_balls_accurate_to_73_bits():
    x = np.array([0.5, 2.0])
    rational = exact.evaluate(lambda x: x @ x / 3, x)
    assert rational.exact
    assert rational.low[()] == rational.high[()] == Fraction(17, 12)
    balls = exact.evaluate(lambda x: np.exp(np.exp(x)) - np.exp(x), x)
    assert not balls.exact
    assert all(0 < h - low <= h / 2**73 for low, h in zip(balls.low, balls.high, strict=True))
    # the difference cancels 100 bits, so 128 bits of working precision do not do
    near = exact.evaluate(lambda x: np.exp(x + exact.asarray(Fraction(1, 2**100))) - np.exp(x), x)
    assert near.bits >= 256
    assert near.high[0] - near.low[0] <= near.high[0] / 2**73


def test_a_result_that_cannot_be_told_from_zero_is_inconclusive():
    with pytest.raises(Inconclusive, match="exactly zero"):
        exact.evaluate(lambda x: np.exp(x) - np.exp(x), np.array([1.0]))


def test_an_exact_condition_chooses_and_masks_and_labels_stay_what_they_are():
    assert exact.to_fractions(rnp.where(exact.asarray([0, "1/2"]), A[0], 7)).tolist() == [7, THIRD]
    mask, labels = np.array([True, False]), np.array([1, 0], np.int32)
    found = exact.evaluate(lambda x, m, i: np.where(m, x, 0) + x[i], np.array([0.5, 2.0]), mask, labels)
    assert found.low.tolist() == [Fraction(5, 2), Fraction(1, 2)]


def test_an_unbounded_ball_is_not_finite():
    assert not np.isfinite(1 / exact.balls([0])).any()
    assert np.isfinite(exact.balls([0])).all()


def test_precision_belongs_to_the_evaluation():
    def width():
        low, high = exact.bounds(np.exp(exact.balls(1)))
        return high[()] - low[()]

    with exact.precision(64):
        coarse = width()
    with exact.precision(512):
        fine = width()
    assert fine < coarse / 2**400


@pytest.mark.parametrize("missing", ["flint"])
def test_without_python_flint_rationals_are_fractions_with_the_same_results(missing):
    program = f"""
import sys
sys.modules[{missing!r}] = None
from fractions import Fraction
import numpy as np
import refgrad, refgrad.numpy as rnp
from refgrad import exact
from refgrad.errors import MissingExtra, NotRational
from refgrad.multitask import min_norm
a = exact.asarray([[1, "1/3"], [Fraction(2, 5), 4]])
assert type(a.data[0, 0]) is Fraction
print(exact.to_fractions(refgrad.hessian(lambda x: rnp.sum(rnp.linalg.solve(a, x) ** 3))(a[0])).tolist())
print(exact.to_fractions(min_norm(exact.asarray([[1, -1, -2], [2, -3, -1], [3, -1, 1], [-3, 2, 3]])).weights).tolist())
for leak in (lambda: a + 0.5, lambda: a * np.ones(2), lambda: a ** 0.5, lambda: a == 0.5):
    try:
        leak()
    except NotRational:
        continue
    raise SystemExit("a float leaked into fractions")
try:
    exact.balls(a)
except MissingExtra as error:
    assert "refgrad[exact]" in str(error)
else:
    raise SystemExit("balls without python-flint")
"""
    with_fractions = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    program = program.replace(f"sys.modules[{missing!r}] = None", "").replace("type(a.data[0, 0]) is Fraction", "True")
    program = program[: program.index("try:\n    exact.balls")]
    with_flint = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert with_fractions == with_flint
    assert "Fraction(327, 601)" in with_flint
