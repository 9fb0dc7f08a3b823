"""Variants of hypergradients on balls: what one precision leaves open is left to more bits, and never answered."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers import bilevel

from refgrad import exact
from refgrad.contracts.implicit import QuadraticBilevel
from refgrad.contracts.tools import NotApplicable
from refgrad.errors import Undecided

VARIANT = bilevel.variants(plain=True)
a = exact.asarray


def diagonal_problem(convert, second, outer):
    """``H = diag(1, second)`` and the slope `outer` at the solution, zero; the hypergradient is ``H^-1 g``."""
    identity, zero = convert([[1, 0], [0, 1]]), convert([[0, 0], [0, 0]])
    H = identity * (convert([1, 0]) + convert([0, 1]) * second)
    return QuadraticBilevel(H, identity, 0 * outer, identity, -outer, zero, zero, 0 * outer), 0 * outer


NEARLY_ONE = 1 + Fraction(1, 2**140)


def test_a_residual_that_balls_cannot_tell_from_zero_is_no_convergence():
    outer = a([1, 1])
    truth = exact.to_fractions(VARIANT["cg-stale-iterate"](*diagonal_problem(a, NEARLY_ONE, outer)))
    assert all(x > Fraction(1, 2) for x in truth)
    with exact.precision(128), pytest.raises(Undecided):  # 1 + 2^-140 is not told from 1, where one iteration would do
        VARIANT["cg-stale-iterate"](*diagonal_problem(exact.balls, exact.balls(NEARLY_ONE), exact.balls(outer)))
    with exact.precision(1024):
        problem = diagonal_problem(exact.balls, exact.balls(NEARLY_ONE), exact.balls(outer))
        low, high = exact.bounds(VARIANT["cg-stale-iterate"](*problem))
    assert all(x <= t <= y and y - x < Fraction(1, 2**200) for x, t, y in zip(low, truth, high, strict=True))


def test_an_undecided_residual_makes_a_run_double_its_precision():
    def stale(second, outer):
        one = outer.table.exp(0 * second)  # no rational function: balls from the start
        return VARIANT["cg-stale-iterate"](*diagonal_problem(exact.balls, one * second, outer))

    outer = a([1, 1])
    truth = exact.to_fractions(VARIANT["cg-stale-iterate"](*diagonal_problem(a, NEARLY_ONE, outer)))
    found = exact.evaluate(stale, a(NEARLY_ONE), outer)
    assert found.bits > 128
    assert all(low <= t <= high for low, t, high in zip(found.low, truth, found.high, strict=True))


def test_a_residual_of_balls_that_is_exactly_zero_ends_the_iterations():
    with exact.precision(128):
        stale = VARIANT["cg-stale-iterate"](*diagonal_problem(exact.balls, 1, exact.balls([2, 3])))
        assert np.all(stale == 0)


@pytest.mark.parametrize("name", ["cg-one-iteration", "cg-stale-iterate"])
def test_a_curvature_that_balls_cannot_tell_from_zero_is_not_called_zero(name):
    with exact.precision(128):
        with pytest.raises(NotApplicable):
            VARIANT[name](*diagonal_problem(exact.balls, -1, exact.balls([1, 1])))
        with pytest.raises(Undecided):
            VARIANT[name](*diagonal_problem(exact.balls, -exact.balls(NEARLY_ONE), exact.balls([1, 1])))


def test_a_matrix_that_balls_cannot_tell_from_a_singular_one_is_left_to_more_bits():
    identity, zero = a([[1, 0], [0, 1]]), a([[0, 0], [0, 0]])
    Q = a([[1, 1], [1, NEARLY_ONE]])
    rational = QuadraticBilevel(identity, identity, a([0, 0]), Q, a([-1, 0]), zero, zero, a([0, 0])), a([0, 0])
    truth = exact.to_fractions(VARIANT["outer-hessian"](*rational))
    for bits in (128, 512):
        with exact.precision(bits):
            parts = [exact.balls(x) for x in (identity, identity, a([0, 0]), Q, a([-1, 0]), zero, zero, a([0, 0]))]
            problem, phi = QuadraticBilevel(*parts), exact.balls([0, 0])
            if bits == 128:
                with pytest.raises(Undecided):
                    VARIANT["outer-hessian"](problem, phi)
                continue
            low, high = exact.bounds(VARIANT["outer-hessian"](problem, phi))
    assert all(x <= t <= y for x, t, y in zip(low, truth, high, strict=True))
