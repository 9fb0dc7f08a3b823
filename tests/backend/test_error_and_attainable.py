"""How far floats are from the truth, and how far they may be."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.errors import Inconclusive, InvalidInput, ShapeError

U64, U32 = Fraction(1, 2**53), Fraction(1, 2**24)


def test_an_error_is_the_largest_difference_and_exact():
    y = np.array([0.1, 0.5])
    truth = exact.asarray(["1/10", "1/3"])
    assert exact.error(y, truth) == Fraction(1, 6)
    assert exact.error(y, exact.asarray(y)) == 0
    assert exact.error(0.1, Fraction(1, 10)) == Fraction(0.1) - Fraction(1, 10)
    assert exact.error(np.float32(0.1), Fraction(1, 10)) == Fraction(float(np.float32(0.1))) - Fraction(1, 10)
    assert exact.error(exact.asarray("1/4"), 1) == Fraction(3, 4)
    assert exact.error(np.zeros((0, 2)), exact.asarray(np.zeros((0, 2)))) == 0


def test_against_an_enclosure_an_error_is_never_too_small():
    x = np.array([1.0, 2.0])
    truth = exact.evaluate(np.exp, x)
    error = exact.error(np.exp(x), truth)
    e = Fraction("2.71828182845904523536028747135266249775724709369995")
    assert error >= abs(Fraction(float(np.exp(1.0))) - e) - Fraction(1, 10**40)
    assert 0 < error <= 4 * U64 * 8
    wide = exact.balls([0])
    wide.data[0] = type(wide.data[0])(0, 1)
    assert exact.error(np.array([0.25]), wide) >= Fraction(5, 4)


def test_trees_are_compared_leaf_by_leaf_and_their_structure_is_checked():
    y = {"a": np.array([1.0]), "b": (np.float64(2.0), np.array([[3.0]]))}
    truth = exact.evaluate(lambda t: {"a": t["a"] / 3, "b": (t["b"][0], t["b"][1] - 1)}, y)
    assert exact.error(y, truth) == 1
    assert exact.error(y["b"], (2, exact.asarray([["3/2"]]))) == Fraction(3, 2)
    with pytest.raises(ShapeError, match="structure"):
        exact.error(y, truth.value["a"])
    with pytest.raises(ShapeError, match=r"\(1,\); got \(2,\)"):
        exact.error(np.zeros(2), exact.asarray([0]))


def test_a_result_that_is_no_number_has_no_error():
    with pytest.raises(InvalidInput, match="finite"):
        exact.error(np.array([np.nan, np.inf]), exact.asarray([0, 0]))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_an_infinity_meets_every_truth_beyond_the_largest_float_and_is_off_by_what_is_missing_to_it(dtype):
    largest = Fraction(float(np.finfo(dtype).max))
    inf = np.array([np.inf, -np.inf, 1], dtype)
    assert exact.error(inf, exact.asarray([largest, -largest, 1])) == 0
    assert exact.error(inf, exact.asarray([largest * 7, -(largest**3), 1])) == 0
    assert exact.error(inf, exact.evaluate(lambda x: np.exp(x) * np.array([1, -1, 0]) + np.array([0, 0, 1]), 1e9)) == 0
    assert exact.error(inf, exact.asarray([largest, -largest + 5, 1])) == 5
    assert exact.error(inf, exact.asarray([-largest, -largest, 1])) == 2 * largest
    assert exact.error(inf, exact.asarray([largest, -largest, 3])) == 2
    finite = np.array([1, -np.inf, 1], dtype)
    assert exact.error(finite, exact.asarray([largest * 7, -largest, 1])) == largest * 7 - 1
    assert exact.error(-np.inf, exact.asarray(-(10**400))) == 0
    assert exact.error(np.finfo(dtype).max, exact.evaluate(np.exp, 1e9)) == math.inf


@pytest.mark.parametrize(
    "truth", [np.array([0.1]), np.float32([0.1]), [0.1], np.array([Fraction(1, 10), 0.1], object)[1:]]
)
def test_floats_are_no_truth_to_judge_by(truth):
    with pytest.raises(InvalidInput, match=r"asarray\(truth\)"):
        exact.error([0.1] if isinstance(truth, list) else np.array([0.1]), truth)
    assert exact.error(np.array([0.1]), exact.asarray(np.array([0.1]))) == 0


@pytest.mark.parametrize(
    ("dtype", "unit", "tiny"), [("float64", U64, Fraction(1, 2**1074)), ("float32", U32, Fraction(1, 2**149))]
)
def test_what_is_attainable_has_the_smallest_float_in_it_and_ends_at_the_largest(dtype, unit, tiny):
    smallest, largest = (Fraction(float(x)) for x in (np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max))
    assert smallest == tiny
    assert exact.attainable(lambda x: x * 0, 1.0, dtype) == tiny
    assert tiny < exact.attainable(np.exp, -1e9, dtype) <= tiny + Fraction(1, 2**8000)
    assert exact.attainable(np.exp, 1e9, dtype) == unit * largest + tiny
    assert exact.attainable(np.exp, 1.0, dtype, magnitude=exact.asarray(10**400)) <= 2 * unit * largest
    # a truth between two subnormal numbers is met by either of them, and by no number that is farther away
    truth = exact.evaluate(np.exp, -744.5)
    assert exact.error(math.exp(-744.5), truth) < exact.attainable(np.exp, -744.5)
    assert exact.error(1e-300, truth) > 30 * exact.attainable(np.exp, -744.5)


@settings(max_examples=12, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(-8, 8), min_size=1, max_size=4))
def test_of_a_sum_the_attainable_error_is_the_largest_signed_sum_drawn_and_one_rounding(numbers):
    x = np.array(numbers, float)
    for unit, dtype in ((U64, "float64"), (U32, np.float32)):
        found = exact.attainable(np.sum, x, dtype)
        total = sum(abs(n) for n in numbers)
        rounding = unit * abs(sum(numbers))
        tiny = Fraction(float(np.finfo(dtype).smallest_subnormal))
        # s in {-1, 1}^n moves the sum by u |sum s_i x_i|; enough draws attain the most
        assert rounding + tiny <= found <= unit * total + rounding + tiny
        assert exact.attainable(np.sum, x, dtype, patterns=100) == unit * total + rounding + tiny
        assert exact.attainable(np.sum, x, dtype, magnitude=total, patterns=100) == 2 * unit * total + tiny
        by_function = exact.attainable(np.sum, x, dtype, magnitude=lambda x: np.sum(abs(x)), patterns=100)
        assert by_function == 2 * unit * total + tiny


def test_arguments_that_are_no_numbers_are_left_alone_and_the_seed_fixes_the_signs():
    f = lambda x, labels, k, loss: loss(x[labels] ** k)
    x, labels = np.array([1.5, -0.5, 3.0]), np.array([2, 0, 2])
    arguments = (x, labels, 2, rnp.sum)
    first = exact.attainable(f, arguments)
    assert first == exact.attainable(f, arguments)
    assert first <= U64 * (2 * (2 * 9 + Fraction(9, 4)) + 9 + 9 + Fraction(9, 4)) * (1 + U64)
    many = {exact.attainable(f, arguments, patterns=1, seed=s) for s in range(8)}
    assert len(many) > 1
    mixed = exact.attainable(lambda t: np.exp(t["a"]) * t["b"], {"a": np.array([1.0]), "b": exact.asarray(["1/3"])})
    assert U64 < mixed < 3 * U64


def test_sound_code_stays_near_it_and_a_first_order_formula_does_not():
    x = np.array([0.3, -1.2, 0.7])
    f = lambda x: np.tanh(x) @ x / (1 + x @ x)
    assert exact.error(f(x), exact.evaluate(f, x)) <= 3 * exact.attainable(f, x)
    linear = lambda x: x @ x / (1 + x @ x)
    assert exact.error(linear(x), exact.evaluate(f, x)) > 10**12 * exact.attainable(f, x)


def test_a_dtype_that_is_neither_and_a_function_that_cannot_be_enclosed_are_errors():
    for dtype in ("float16", int, "double precision"):
        with pytest.raises(InvalidInput, match="'float64' or 'float32'"):
            exact.attainable(np.sum, np.ones(2), dtype)
    with pytest.raises(Inconclusive):
        exact.attainable(lambda x: np.exp(x) - np.exp(x), np.ones(1))
