"""What a formula's arguments are turned into is kept with an object, for as long as it is what the object holds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from refgrad import exact
from refgrad.contracts.implicit import Penalised
from refgrad.contracts.tools import measured

a = exact.asarray
PRODUCT = measured(lambda inner, w: inner.A @ w)


def inner_loss():
    return Penalised(a([["1/3"]]), a([[0]]), a([[0]]), a([0]), a([0]))


def test_an_attribute_that_was_replaced_is_converted_again():
    inner, w = inner_loss(), a([3])
    assert PRODUCT(inner, w).magnitude == PRODUCT(inner, w).magnitude == 1
    inner.A = a([[2]])
    assert PRODUCT(inner, w).magnitude == 6


def test_an_attribute_is_converted_to_balls_of_the_precision_in_force():
    inner, widths = inner_loss(), []
    for bits in (64, 256, 64):
        with exact.precision(bits):
            low, high = exact.bounds(PRODUCT(inner, exact.balls([1])).value)
        assert low[0] <= Fraction(1, 3) <= high[0]
        widths.append(high[0] - low[0])
    assert widths[0] == widths[2] > 2**150 * widths[1]


def test_the_objects_own_numbers_stay_what_they_are():
    inner = inner_loss()
    with exact.precision(64):
        PRODUCT(inner, exact.balls([1]))
    assert isinstance(inner.A, exact.ExactArray)
    assert np.all(a([["1/3"]]) == inner.A)
