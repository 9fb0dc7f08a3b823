"""The quadratic penalty of elastic weight consolidation against its definition and a truncated series."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from helpers.jets import coefficient, line

from refgrad import exact
from refgrad.contracts import continual


def test_the_ewc_penalty_has_its_factor_one_half_and_its_gradient():
    theta, star = exact.asarray([1, "1/2", -3]), exact.asarray([0, 2, 1])
    fisher, lam = exact.asarray([2, "1/3", 5]), exact.asarray("3/4")
    penalty = continual.ewc_penalty(theta, star, fisher, lam)
    assert penalty.value == Fraction(3, 8) * (2 * 1 + Fraction(1, 3) * Fraction(9, 4) + 5 * 16)
    assert penalty.magnitude == penalty.value
    gradient = continual.ewc_gradient(theta, star, fisher, lam).value
    v = exact.asarray([1, -2, 3])
    still = [line(x, 0 * x) for x in (star, fisher, lam)]
    assert gradient @ v == exact.asarray(coefficient(continual.ewc_penalty.plain(line(theta, v), *still), 1))
    assert np.all(continual.ewc_gradient(star, star, fisher, lam).value == 0)
