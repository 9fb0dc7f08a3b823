"""Derivatives are as accurate as values: every elementwise rule, at orders 0, 1 and 2, over the whole range of floats.

The rules come from the table of primitives, so a new one is held to it without a word here. What is worst of each is
printed by the bench, on a finer grid: ``python -m pytest -m bench tests/bench/test_accuracy.py -s``.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers.accuracy_grid import CASES, LIMIT, floats, ratio, ratios, worst

from refgrad import exact
from refgrad.backend import NUMPY

flint = pytest.importorskip("flint", reason="certified enclosures need python-flint")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_values_slopes_and_curvatures_are_within_30_attainable_errors(name, dtype):
    for order, (figure, where) in worst(CASES[name], dtype, density=1 / 2).items():
        assert figure <= LIMIT, (name, order, where)


@pytest.mark.seeds
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_they_are_on_a_grid_of_twice_as_many_points(name, dtype):
    for order, (figure, where) in worst(CASES[name], dtype).items():
        assert figure <= LIMIT, (name, order, where)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", ["logistic", "sech_squared", "tanh"])
def test_small_arrays_without_tails_which_have_a_formula_of_their_own_are_as_accurate(name, dtype):
    x = floats(dtype)
    for part in np.array_split(x[np.abs(x) < 11], 2):
        assert 0 < part.size < 1000
        assert np.nanmax(ratios(CASES[name], [part])) <= LIMIT


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_the_square_of_the_hyperbolic_secant_overflows_nowhere(dtype):
    ends = [10.99, 11.0, 11.1, 11.8, 88.0, 90.0, 709.0, 711.0, np.finfo(dtype).max, np.inf]
    with np.errstate(all="raise", under="ignore"):
        for x in [s * dtype(min(e, np.finfo(dtype).max if e < np.inf else e)) for e in ends for s in (1, -1)]:
            for a in (x, np.array(x), np.array([x]), np.array([x, 0], dtype), np.full(1000, x)):
                y = NUMPY.sech_squared(a, np.tanh(a))
                assert y.dtype == dtype
                assert np.all(np.ravel(y)[0] <= 5 * np.exp(-2 * min(abs(float(x)), 300)))
    assert np.isnan(NUMPY.sech_squared(np.array([0, np.nan]), np.array([0, np.nan]))).tolist() == [False, True]
    assert NUMPY.sech_squared(np.zeros(0), 1).shape == (0,)


def test_the_figure_is_the_error_in_attainable_errors_and_what_is_no_number_is_not_accurate():
    unit, tiny, largest = flint.arb(2) ** -53, flint.arb(2) ** -1074, flint.arb(np.finfo(float).max)
    with exact.precision(256):
        third = flint.arb(1) / 3
        judge = lambda y, truth, *near: ratio(y, truth, near, unit, tiny, largest)
        assert judge(1 / 3, third) <= 0.5
        assert 1 <= judge(np.nextafter(1 / 3, 1), third) < 3
        assert judge(1.0, third, third + unit) == pytest.approx(2 / 4 * 2**53, rel=1e-9)
        assert judge(np.nan, third) == judge(np.inf, third) == judge(-np.inf, largest * 4) == np.inf
        assert judge(np.inf, largest * 4) == judge(-np.inf, largest * -4) == 0
        assert judge(0.0, tiny * 3 / 4) < 1 < LIMIT < judge(0.0, tiny * 64)
        assert np.isnan(judge(1.0, flint.arb("nan")))
        assert judge(1.0, flint.arb(1, 1e-10)) == -1
