"""Numbers that no float can hold: balls keep their exponents as they are, and no fraction writes one out."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import check_derivatives, exact, grad
from refgrad.errors import Inconclusive, InvalidInput, NotRational
from refgrad.linalg.norms import norm

flint = pytest.importorskip("flint", reason="balls need python-flint")
arb, ctx = flint.arb, flint.ctx

FAR = Fraction(2) ** 8192


def test_a_masked_softmax_is_enclosed_at_once_and_takes_no_memory():
    program = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
import numpy as np
import refgrad.numpy as rnp
from refgrad import exact, grad
softmax = lambda z: rnp.exp(z) / rnp.sum(rnp.exp(z))
for mask in (-1e9, -1e300):
    z = np.array([0.0, 1.0, mask])
    for f in (softmax, rnp.nn.softmax, grad(lambda z: softmax(z)[1]), grad(lambda z: softmax(z)[2])):
        found = exact.evaluate(f, z)
        assert all(h - low <= max(found.high) / 2**73 or h - low <= 2.0**-1000 for low, h in zip(found.low, found.high))
        exact.error(f(z), found), exact.attainable(f, z)
for x in (1e9, -1e9, 1e300, -1e300, 1e-300):
    for f in (rnp.exp, rnp.expm1, rnp.exp2, rnp.cosh, rnp.sinh, rnp.erf, rnp.logistic, rnp.softplus):
        for g in (f, grad(f), grad(grad(f))):
            found = exact.evaluate(g, x)
            exact.attainable(g, x), str(found), found.value.astype(float)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_rationals_that_grow_without_end_are_balls():
    program = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
from fractions import Fraction
import numpy as np
from refgrad import exact, grad

TINY = Fraction(1, 2**70)

def newton(x):
    y = x
    for _ in range(60):  # each step doubles the digits
        y = (y + x / y) / 2
    return y

def chaos(x):
    y = x
    for _ in range(60):
        y = 4 * y * (1 - y)
    return y

root = exact.evaluate(newton, np.array([0.0, 2.0, 3.0])[1:])
assert not root.exact
assert all(low * low - TINY < n < h * h + TINY for n, low, h in zip((2, 3), root.low, root.high))
slope = exact.evaluate(grad(newton), 2.0)
assert slope.low - TINY < root.low[0] / 4 < slope.high + TINY
assert exact.evaluate(chaos, 0.75).low == 0.75
assert exact.evaluate(chaos, 0.3).bits > 128  # a bit is lost in each step
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_rationals_of_ones_own_may_be_of_any_size():
    x = exact.asarray(3)
    for _ in range(21):
        x = x * x
    assert x == exact.asarray(3) ** (2**21)
    assert exact.evaluate(lambda x: x * x, exact.asarray(3) ** 10**5).exact


def test_a_masked_softmax_has_the_values_of_the_logistic_function_and_a_positive_one():
    found = exact.evaluate(rnp.nn.softmax, np.array([0.0, 1.0, -1e9]))
    with ctx.workprec(200):
        one = 1 / (1 + (-arb(1)).exp())  # the third exponential changes no digit of these
        for truth, low, high in zip((1 - one, one), found.low, found.high, strict=False):
            assert arb(low.numerator) / low.denominator < truth < arb(high.numerator) / high.denominator
            assert high - low < high / 2**73
        assert found.value.data[2] > 0
        assert found.value.data[2].log().contains(arb(-(10**9)) - (1 + arb(1).exp()).log())
    assert (found.low[2], found.high[2]) == (0, 1 / FAR)


@pytest.mark.parametrize("x", [12345, 10**9, 10**300])
@pytest.mark.parametrize("sign", [1, -1])
def test_bounds_beyond_2_to_the_8192_are_that_and_an_infinity_and_near_zero_they_are_that_and_zero(x, sign):
    large, small = (exact.evaluate(lambda x, s=s: sign * np.exp(s * x), exact.asarray(x)) for s in (1, -1))
    ends = [(large.low.item(), large.high.item()), (small.low.item(), small.high.item())]
    (low, high), (below, above) = ends if sign > 0 else [(-b, -a) for a, b in ends]
    assert (low, high) == (FAR, math.inf)
    # of exp(-1e300) it is all that is known at 128 bits that it is this near to 0
    assert below == 0 or (x == 10**300 and -1 / FAR <= below < 0)
    assert 0 < above <= 1 / FAR
    assert float(small.value) == 0
    assert large.value.astype(float) == sign * math.inf
    assert large.value.astype(np.float32) == sign * math.inf


def test_bounds_hold_whichever_of_midpoint_and_radius_is_beyond():
    numbers = [0, 1, Fraction(1, 3), FAR / 2, FAR * 4, 1 / FAR / 4, FAR**3, FAR**-3]
    for mid in numbers:
        for rad in numbers:
            for sign in (1, -1):
                m, r = arb(sign * mid.numerator) / mid.denominator, arb(rad.numerator) / rad.denominator
                ball = exact.balls([0])
                ball.data[0] = arb(m.mid(), r.mid())
                exactly = _fraction(ball.data[0].mid()), _fraction(ball.data[0].rad())
                (low,), (high,) = exact.bounds(ball)
                assert low <= exactly[0] - exactly[1] <= exactly[0] + exactly[1] <= high
                if max(abs(exactly[0]), exactly[1]) < FAR / 2:
                    assert high - low <= 2 * exactly[1] + 4 / FAR


def _fraction(ball):
    mantissa, exponent = (int(n) for n in ball.man_exp())
    return mantissa * Fraction(2) ** exponent


def test_what_is_made_of_huge_and_tiny_balls_goes_on_without_fractions():
    x = np.array([1e9, -1e9, 3.0])
    ordered = exact.evaluate(lambda x: np.sort(np.exp(x)), x)
    assert [float(h) if h < FAR else h for h in ordered.high] == [0.0, math.exp(3), math.inf]
    assert exact.evaluate(lambda x: np.max(np.exp(x)), x).high == math.inf
    assert exact.evaluate(lambda x: np.log(np.exp(x)), x).low[1] + 10**9 < Fraction(1, 2**60)
    assert exact.evaluate(lambda x: np.exp(x) > 1, x).low.tolist() == [1, 0, 1]
    with exact.precision(128):
        y = np.exp(exact.balls(x))
        for other in (copy.deepcopy(y), pickle.loads(pickle.dumps(y))):
            assert all(a.overlaps(b) and a.rel_accuracy_bits() > 60 for a, b in zip(y.data, other.data, strict=True))
        assert norm(y) == math.inf
        assert "e-434294482" in str(y)
        assert (np.floor(y[1:]) == [0, 20]).all()
    assert "ball" in str(check_derivatives(lambda z: rnp.nn.softmax(z)[:2], np.array([0.0, 1.0, -1e9])))


def test_small_sums_and_far_points_keep_their_digits():
    for f in (lambda x: np.logaddexp(x, 0), lambda x: np.logaddexp(0, x), rnp.softplus):
        found = exact.evaluate(f, -1e9)
        with ctx.workprec(200):  # log(1 + e) is e, to 10^-434294482 of it
            assert found.value.data.item().log().contains(arb(-(10**9)))
    x = 1e155  # an even number, where sin(pi x) is 0 and cos(pi x) is 1
    slope = exact.evaluate(grad(np.sinc), x)
    assert slope.low <= 1 / Fraction(x) <= slope.high
    curvature = exact.evaluate(grad(grad(np.sinc)), x)
    assert curvature.low <= -2 / Fraction(x) ** 2 <= curvature.high


def test_a_number_below_2_to_the_minus_8192_is_accurate_and_one_that_may_be_zero_for_cancellation_is_not():
    found = exact.evaluate(lambda x: np.exp(-np.exp(x)), 1e300)
    assert -1 / FAR <= found.low <= 0 <= found.high <= 1 / FAR
    with pytest.raises(Inconclusive, match="exactly zero"):
        exact.evaluate(lambda x: np.exp(x) - np.exp(x), 1.0)
    with pytest.raises(Inconclusive, match="working precision of 4096 bits"):
        exact.evaluate(lambda x: np.exp(np.exp(x)), 1e300)


def test_a_power_that_would_fill_the_memory_is_refused_on_rationals_and_enclosed_by_evaluate():
    for n in (10**9, -(10**9)):
        with pytest.raises(NotRational, match="2 bits would have more than 2"):
            exact.asarray([1, 3]) ** n
        found = exact.evaluate(lambda x, n=n: np.log(x**n) / n, 3.0)
        assert abs(found.low - Fraction(math.log(3))) < Fraction(1, 2**50)
    assert (exact.asarray([0, 1, -1]) ** (10**9) == [0, 1, 1]).all()
    assert exact.asarray(2) ** 5000 == 2**5000
    found = exact.evaluate(lambda x: rnp.ldexp(x, np.array([10**9, 3])), 3.0)
    assert found.high[0] == math.inf
    assert found.low[1] <= 24 <= found.high[1]


@pytest.mark.parametrize("number", ["1e999999999", "-2.5E-0001000000", Decimal("1e1000000"), Decimal("1e-9999999")])
def test_a_decimal_exponent_without_bound_is_refused(number):
    with pytest.raises(InvalidInput, match="exponents go up to 999999"):
        exact.asarray(number)
    assert exact.asarray("25e-4") == exact.asarray(Decimal("0.0025")) == Fraction(1, 400)
