"""What has no value says so: outside of a domain, at a pole, divided by 0; and that is not the same as undecided."""

from __future__ import annotations

import math
import subprocess
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact, grad
from refgrad.errors import Inconclusive, Kink, OutsideDomain
from refgrad.numpy import nn

zero = lambda x: np.exp(x) - np.exp(x)  # of which no precision knows that it is 0

OUTSIDE = [
    (np.log, -1.0, "log of -1"),
    (np.log, 0.0, "log of 0"),
    (np.log, -1e300, r"log of -1.000000000e\+300"),
    (np.log2, -1.0, "log2 of -1"),
    (np.log10, 0.0, "log10 of 0"),
    (np.log1p, -1.0, "log1p of -1"),
    (np.log1p, -1.5, "log1p of -1.5"),
    (np.sqrt, -1.0, "sqrt of -1"),
    (rnp.rsqrt, -1.0, "sqrt of -1"),
    (rnp.rsqrt, 0.0, "1 / 0"),
    (np.arcsin, 2.0, "arcsin of 2"),
    (np.arccos, -1.5, "arccos of -1.5"),
    (np.arctanh, 1.0, "arctanh of 1"),
    (np.arctanh, -3.0, "arctanh of -3"),
    (rnp.lgamma, -1.0, "lgamma of -1"),
    (rnp.lgamma, 0.0, "lgamma of 0"),
    (rnp.lgamma, -1e300, "lgamma of -1"),
    (rnp.digamma, -2.0, "polygamma of -2"),
    (lambda x: rnp.polygamma(3, x), -1e9, "polygamma of -1"),
    (lambda x: 1 / x, 0.0, "1 / 0"),
    (lambda x: x / x, 0.0, "0 / 0"),
    (lambda x: np.exp(x) / x, 0.0, "1 / 0"),
    (lambda x: x**-2, 0.0, "1 / 0"),
    (lambda x: np.exp(x) * x**-2, 0.0, "1 / 0"),
    (lambda x: x ** exact.asarray("1/2"), -2.0, r"\(-2\) \*\* 0.5"),
    (lambda x: x ** exact.asarray("-1/2"), 0.0, r"\(0\) \*\* -0.5"),
    (lambda x: x ** exact.asarray(-3), 0.0, "1 / 0"),
    (lambda x: (-2) ** x, 0.5, r"\(-2\) \*\* 0.5"),
    (lambda x: np.log(np.log(x)), 0.5, "log of -0.6931"),
    (lambda x: np.log(x) > 0, -1.0, "log of -1"),
    (lambda x: rnp.relu(np.log(x)), -1.0, "log of -1"),
    (lambda x: rnp.logsumexp(rnp.stack([x, np.log(x)])), -1.0, "log of -1"),
    (grad(np.sqrt), 0.0, "0.5 / 0|1 / 0"),
    (grad(np.arcsin), 2.0, "arcsin of 2|sqrt of -3"),
    (grad(np.cbrt), 0.0, "1 / 0"),
]


@pytest.mark.parametrize(("f", "x", "why"), OUTSIDE)
def test_what_is_outside_a_domain_is_said_to_be_and_why(f, x, why):
    with pytest.raises(OutsideDomain, match=f"there is no ({why})"):
        exact.evaluate(f, x)
    for kind in (ValueError, ZeroDivisionError):  # as Python's math.log(-1) and 1 / 0
        with pytest.raises(kind):
            exact.evaluate(f, x)
    with pytest.raises(OutsideDomain):
        exact.attainable(f, x)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: 1 / zero(x),
        lambda x: np.log(zero(x)),
        lambda x: np.sqrt(zero(x)) + 1 / zero(x),
        lambda x: np.log(zero(x)) + np.where(x > 2, np.log(x - 2), 0),
        lambda x: rnp.lgamma(zero(x)),
        lambda x: zero(x) ** exact.asarray("1/2") / zero(x),
        zero,
    ],
)
def test_what_cannot_be_told_from_the_end_of_a_domain_is_inconclusive(f):
    with pytest.raises(Inconclusive, match="may be exactly zero"):
        exact.evaluate(f, 1.0)


@pytest.mark.parametrize("f", [np.log, np.log2, np.log10, np.log1p, np.arctanh, rnp.arctanh])
def test_no_derivative_is_certified_where_there_is_no_function(f):
    # 1 / x is a number at -2, and no derivative of the logarithm
    for x in (-2.0, -1.0):
        with pytest.raises(Kink):
            exact.evaluate(grad(f), x)
    end = 0 if f in (np.log, np.log2, np.log10) else -1
    with pytest.raises(Inconclusive):  # whether it is reached is not known
        exact.evaluate(lambda x: grad(f)(zero(x) + end), 1.0)


def test_what_where_leaves_out_is_left_out():
    assert exact.evaluate(lambda x: np.where(x > 0, np.log(x), 7), -1.0).low == 7
    assert exact.evaluate(lambda x: np.where(x != 0, 1 / x, 7), np.array([0.0, 2.0])).low.tolist() == [
        7,
        Fraction(1, 2),
    ]
    assert exact.evaluate(lambda x: np.where(x != 0, x / x, 1), 0.0).low == 1


def test_an_inner_point_of_a_domain_and_its_closed_ends_have_values():
    for f, x, value in (
        (np.sqrt, 0.0, 0),
        (np.cbrt, 0.0, 0),
        (lambda x: x ** exact.asarray("5/2"), 0.0, 0),
        (lambda x: x ** exact.asarray(0), 0.0, 1),
        (lambda x: x ** exact.asarray(3), -2.0, -8),
        (lambda x: x ** exact.asarray(-3), -2.0, Fraction(-1, 8)),
        (lambda x: x ** exact.asarray(2), 0.0, 0),
        (np.arccos, 1.0, 0),
    ):
        found = exact.evaluate(f, x)
        assert found.low <= value <= found.high
    # 1 + u is outside of the domain of arcsin, and left out
    assert 2.0**-27 < exact.attainable(np.arcsin, 1.0) < 2.0**-25


@pytest.mark.parametrize("x", [-0.5, -1.5, -2.75, -10.25, -1000.5, 0.25, 3.5])
def test_the_logarithm_of_gamma_is_that_of_its_size_below_zero_too(x):
    with mpmath.workdps(60):
        truth = mpmath.log(abs(mpmath.gamma(mpmath.mpf(x))))
        slope = mpmath.digamma(mpmath.mpf(x))
    for f, value in ((rnp.lgamma, truth), (grad(rnp.lgamma), slope)):
        found = exact.evaluate(f, x)
        distance = abs(Fraction(mpmath.nstr(value, 50)) - found.low)
        assert distance < Fraction(1, 2**60) * max(1, abs(Fraction(float(value))))


def test_the_cube_root_of_a_ball_across_zero_encloses_both_ends():
    wide = exact.balls([0])
    wide.data[0] = type(wide.data[0])(0, 8)
    (low,), (high,) = exact.bounds(np.cbrt(wide))
    assert -2.0001 < low <= -2
    assert 2 <= high < 2.0001


def test_a_diagnosis_leaves_balls_as_they_were():
    with pytest.raises(OutsideDomain):
        exact.evaluate(np.log, -1.0)
    assert np.isnan(np.log(exact.balls(-1)))
    assert np.isnan(1 / exact.balls(0))


def test_without_python_flint_a_division_by_zero_is_outside_the_domain_too():
    program = """
import sys
sys.modules["flint"] = None
from refgrad import exact
from refgrad.errors import MissingExtra, OutsideDomain
for f, kind in ((lambda x: 1 / x, OutsideDomain), (lambda x: x ** exact.asarray(1), MissingExtra)):
    try:
        exact.evaluate(f, 0.0)
    except kind:
        continue
    raise SystemExit(f"expected {kind}")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_losses_of_impossible_probabilities_say_what_they_lack():
    with pytest.raises(OutsideDomain, match="log of -1"):
        exact.evaluate(lambda v: nn.gaussian_nll(v, v, -v), 1.0)
    assert math.isfinite(exact.evaluate(lambda v: nn.gaussian_nll(v, v, v), 1.0).high)
