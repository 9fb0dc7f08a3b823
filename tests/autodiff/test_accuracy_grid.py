"""Derivatives are as accurate as values: every elementwise rule, at orders 0, 1 and 2, over the whole range of floats.

The rules come from the table of primitives, so a new one is held to it without a word here. What is worst of each is
printed by the bench, on a finer grid: ``python -m pytest -m bench tests/bench/test_accuracy.py -s``.
"""

from __future__ import annotations

import numpy as np
import pytest
from helpers.accuracy_grid import CASES, LIMIT, ratio, worst

from refgrad import exact

flint = pytest.importorskip("flint", reason="certified enclosures need python-flint")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", CASES)
def test_values_slopes_and_curvatures_are_within_30_attainable_errors(name, dtype):
    for order, (figure, where) in worst(CASES[name], dtype).items():
        assert figure <= LIMIT, (name, order, where)


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
