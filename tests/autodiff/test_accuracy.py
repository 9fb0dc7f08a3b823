"""How accurate float64 values and first derivatives are, in units in the last place, against certified enclosures.

One unit is the spacing of floats at the true value, or at ``scale`` where a larger number is named: that of the terms
whose difference the result is. NumPy promises its elementary functions to 4 units; a rounding is half a unit, which may
count double in the result, whose spacing may be the smaller one of its binade. So where a rule multiplies, divides or
adds positive numbers, its bound is the sum of those of its parts and 1 for each operation; ``why`` gives the rest.

The truths are python-flint's functions and derivatives written with them by hand; nothing of the engine is in them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from helpers.sampling import IRRATIONAL

from refgrad import exact, grad
from refgrad.autodiff.core import PRIMITIVES
from refgrad.numpy import sum as total

ulp = 4  # of an elementary function


flint = pytest.importorskip("flint", reason="certified enclosures need python-flint")
acb, arb = flint.acb, flint.arb


@dataclass(frozen=True)
class Accuracy:
    """What a primitive promises on `points`: units in the last place of its value and of its slopes."""

    points: np.ndarray
    truth: Callable
    slopes: tuple[Callable, ...]
    value: float
    slope: float
    why: str
    scale: Callable = lambda *x: 0.0
    slope_scale: Callable = lambda *x: 0.0
    params: dict = field(default_factory=dict)


rng = np.random.default_rng(0)


def spread(low, high, n=60):
    """Numbers over an interval, evenly and by magnitude, and its ends."""
    even = rng.uniform(low, high, n)
    small = np.exp(rng.uniform(math.log(1e-8), 0, n)) * np.where(rng.random(n) < 0.5, low, high)
    return np.concatenate([even, small, [low, high]])


def positive(low, high, n=120):
    return np.exp(rng.uniform(math.log(low), math.log(high), n))


def pairs(low, high, n=120):
    """Pairs of quarters of integers, whose differences are exact."""
    return rng.integers(4 * low, 4 * high, (n, 2)) / 4 + 0.125


one = lambda *x: 1.0
cosh_half = lambda x: 1 / (4 * (x / 2).cosh() ** 2)


def f_n(x, n):
    return (-x * x / 4).hypgeom_0f1(n + arb(3) / 2) / math.prod(range(1, 2 * n + 2, 2))


TABLE = {
    "exp": Accuracy(spread(-700, 700), arb.exp, (arb.exp,), ulp, ulp + 1, "its own slope"),
    "expm1": Accuracy(spread(-30, 700), arb.expm1, (arb.exp,), ulp, ulp + 1, "the slope is exp"),
    "exp2": Accuracy(
        spread(-1000, 1000), lambda x: (x * arb(2).log()).exp(), (lambda x: arb(2).log() * (x * arb(2).log()).exp(),),
        ulp, 2 * ulp + 2, "exp2 times log 2",
    ),
    "log": Accuracy(positive(1e-300, 1e300), arb.log, (lambda x: 1 / x,), ulp, 1, "the slope is one division"),
    "log1p": Accuracy(
        np.concatenate([positive(1e-16, 1e300), -positive(1e-16, 1)]), arb.log1p, (lambda x: 1 / (1 + x),), ulp, 2,
        "a sum and a division; near -1 the sum is exact",
    ),
    "log2": Accuracy(
        positive(1e-300, 1e300), lambda x: x.log_base(2), (lambda x: 1 / (x * arb(2).log()),), ulp, ulp + 2,
        "a product with log 2 and a division",
    ),
    "log10": Accuracy(
        positive(1e-300, 1e300), lambda x: x.log_base(10), (lambda x: 1 / (x * arb(10).log()),), ulp, ulp + 2,
        "a product with log 10 and a division",
    ),
    "sqrt": Accuracy(positive(1e-300, 1e300), arb.sqrt, (lambda x: 1 / (2 * x.sqrt()),), 1, 2, "a root, a division"),
    "cbrt": Accuracy(
        positive(1e-300, 1e300), lambda x: x.root(3), (lambda x: 1 / (3 * x.root(3) ** 2),), ulp, 2 * ulp + 3,
        "the square of the root, and three operations",
    ),
    "sin": Accuracy(spread(-50, 50), arb.sin, (arb.cos,), ulp, ulp + 1, "the slope is cos"),
    "cos": Accuracy(spread(-50, 50), arb.cos, (lambda x: -x.sin(),), ulp, ulp + 1, "the slope is -sin"),
    "tan": Accuracy(
        spread(-50, 50), arb.tan, (lambda x: 1 / x.cos() ** 2,), ulp, 2 * ulp + 2, "1 + the square of the tangent",
    ),
    "arcsin": Accuracy(
        spread(-1 + 1e-12, 1 - 1e-12), arb.asin, (lambda x: 1 / ((1 - x) * (1 + x)).sqrt(),), ulp, 5,
        "five operations, two of them on exact or positive sums",
    ),
    "arccos": Accuracy(
        spread(-1 + 1e-12, 1 - 1e-12), arb.acos, (lambda x: -1 / ((1 - x) * (1 + x)).sqrt(),), ulp, 5,
        "five operations, two of them on exact or positive sums",
    ),
    "arctan": Accuracy(
        spread(-1e8, 1e8), arb.atan, (lambda x: 1 / (1 + x * x),), ulp, 9, "the square of a cosine",
    ),
    "sinh": Accuracy(spread(-700, 700), arb.sinh, (arb.cosh,), ulp, ulp + 1, "the slope is cosh"),
    "cosh": Accuracy(spread(-700, 700), arb.cosh, (arb.sinh,), ulp, ulp + 1, "the slope is sinh"),
    "tanh": Accuracy(
        spread(-300, 300), arb.tanh, (lambda x: x.sech() ** 2,), ulp, 2 * ulp + 5, "the square of a quotient with exp",
    ),
    "sech_squared": Accuracy(
        (lambda x: np.stack([x, np.tanh(x)], axis=1))(spread(-300, 300)), lambda x, h: x.sech() ** 2,
        (lambda x, h: -2 * x.tanh() * x.sech() ** 2, lambda x, h: arb(0)), 2 * ulp + 5,
        3 * ulp + 7, "the square of a quotient with exp; the slope is a product of it",
    ),
    "arcsinh": Accuracy(
        spread(-1e200, 1e200), arb.asinh, (lambda x: 1 / (1 + x * x).sqrt(),), ulp, ulp + 1, "a hypotenuse, a division",
    ),
    "arctanh": Accuracy(
        spread(-1 + 1e-12, 1 - 1e-12), arb.atanh, (lambda x: 1 / ((1 - x) * (1 + x)),), ulp, 4,
        "two exact or positive sums, a product and a division",
    ),
    "logistic": Accuracy(
        spread(-700, 700), lambda x: 1 / (1 + (-x).exp()), (cosh_half,), ulp + 2, 2 * ulp + 5,
        "exp(-|x|) / (1 + exp(-|x|)); the slope is the product of two such and one more operation",
    ),
    "softplus": Accuracy(
        spread(-700, 700), lambda x: x.exp().log1p(), (lambda x: 1 / (1 + (-x).exp()),), 2 * ulp + 1, ulp + 3,
        "log1p of exp, and a sum of positive numbers",
    ),
    "erf": Accuracy(
        spread(-5, 5), arb.erf, (lambda x: 2 * (-x * x).exp() / arb.pi().sqrt(),), ulp, 25 + 2 * ulp + 5,
        "the rounding of x^2, at most 25, is 25 half units of exp(-x^2)",
    ),
    "erfc": Accuracy(
        spread(-5, 5), arb.erfc, (lambda x: -2 * (-x * x).exp() / arb.pi().sqrt(),), 25 + ulp, 25 + 2 * ulp + 5,
        "as the slope of erf",
    ),
    "lgamma": Accuracy(
        positive(0.1, 1e5), arb.lgamma, (arb.digamma,), 2 * ulp, 2 * ulp,
        "relative to 1 near their zeros; Cephes [cephes]_ states 5e-16 and 1.3e-15 for lgam and psi",
        scale=one, slope_scale=one,
    ),
    "polygamma": Accuracy(
        positive(0.1, 1e5), lambda x: acb(x).polygamma(1).real, (lambda x: acb(x).polygamma(2).real,),
        2 * ulp, 2 * ulp + 1, "SciPy's Hurwitz zeta function times a factorial", params={"n": 1},
    ),
    "sinc": Accuracy(
        spread(-60, 60), lambda x: f_n(x, 0), (lambda x: -x * f_n(x, 1),), ulp + 1, 2 * ulp + 4,
        "the slope is a difference of two terms of the size of 1 / |x|", params={"n": 0},
        slope_scale=lambda x: 1 / max(1.0, abs(x)),
    ),
    "hypot": Accuracy(
        spread(-1e200, 1e200).reshape(-1, 2), lambda a, b: (a * a + b * b).sqrt(),
        (lambda a, b: a / (a * a + b * b).sqrt(), lambda a, b: b / (a * a + b * b).sqrt()), ulp, ulp + 2,
        "a quotient by the hypotenuse",
    ),
    "cosine": Accuracy(
        spread(-1e150, 1e150).reshape(-1, 2), lambda a, b: a / (a * a + b * b).sqrt(),
        (lambda a, b: b * b / (a * a + b * b).sqrt() ** 3, lambda a, b: -a * b / (a * a + b * b).sqrt() ** 3), 4,
        12, "quotients by the larger argument, their length, a quotient; the slopes are products of such",
    ),
    "arctan2": Accuracy(
        spread(-1e150, 1e150).reshape(-1, 2), arb.atan2,
        (lambda a, b: b / (a * a + b * b), lambda a, b: -a / (a * a + b * b)), ulp, 2 * ulp + 3,
        "two quotients by the hypotenuse",
    ),
    "logaddexp": Accuracy(
        pairs(-40, 40), lambda a, b: (a.exp() + b.exp()).log(),
        (lambda a, b: 1 / (1 + (b - a).exp()), lambda a, b: 1 / (1 + (a - b).exp())), ulp, ulp + 3,
        "the slope is the logistic function of an exact difference; the value is a sum of a and a positive number",
        scale=lambda a, b: max(abs(a), abs(b), 1.0),
    ),
    "logaddexp2": Accuracy(
        pairs(-40, 40), lambda a, b: ((a * arb(2).log()).exp() + (b * arb(2).log()).exp()).log() / arb(2).log(),
        (lambda a, b: 1 / (1 + ((b - a) * arb(2).log()).exp()), lambda a, b: 1 / (1 + ((a - b) * arb(2).log()).exp())),
        ulp, 2 * 56 + ulp + 3, "the exponent of the slope, at most 56, is rounded twice",
        scale=lambda a, b: max(abs(a), abs(b), 1.0),
    ),
    "arccosh": Accuracy(
        1 + positive(1e-12, 1e300), arb.acosh, (lambda x: 1 / ((x - 1) * (x + 1)).sqrt(),), ulp, 6,
        "two exact or positive sums, two roots, a product and a division",
    ),
    "deg2rad": Accuracy(
        spread(-1e300, 1e300), lambda x: x * arb.pi() / 180, (lambda x: arb.pi() / 180,), 2, 2, "a product with a unit",
    ),
    "rad2deg": Accuracy(
        spread(-1e300, 1e300), lambda x: x * 180 / arb.pi(), (lambda x: 180 / arb.pi(),), 2, 2, "a product with a unit",
    ),
    "xlogy": Accuracy(
        np.stack([spread(-1e5, 1e5), positive(1e-300, 1e300, 122)], axis=1), lambda x, y: x * y.log(),
        (lambda x, y: y.log(), lambda x, y: x / y), ulp + 1, ulp, "a logarithm and a product; a logarithm; a quotient",
    ),
    "xlog1py": Accuracy(
        np.stack([spread(-1e5, 1e5), positive(1e-16, 1e300, 122)], axis=1), lambda x, y: x * y.log1p(),
        (lambda x, y: y.log1p(), lambda x, y: x / (1 + y)), 2 * ulp + 1, ulp + 1,
        "SciPy's own log1p and a product; a logarithm; a sum and a quotient",
    ),
    "pow_real": Accuracy(
        np.stack([positive(0.1, 10), rng.integers(-40, 40, 120) / 4 + 0.125], axis=1), lambda a, b: a**b,
        (lambda a, b: b * a ** (b - 1), lambda a, b: a**b * a.log()), ulp, 2 * ulp + 2,
        "a power by an exact exponent, or a power times a logarithm",
    ),
    "logsumexp": Accuracy(
        rng.uniform(-30, 30, (60, 3)), lambda *x: sum((e.exp() for e in x), arb(0)).log(),
        tuple(lambda *x, k=k: 1 / sum(((e - x[k]).exp() for e in x), arb(0)) for k in range(3)),
        2 * ulp + 3, 2 * (60 + 2 * ulp + 3), "x - y, at most 60, has lost as many half units when exp is taken",
        scale=lambda *x: max(map(abs, x)), params={"axis": (0,), "keepdims": False},
    ),
    "norm": Accuracy(
        spread(-1e150, 1e150)[:120].reshape(-1, 3), lambda *x: sum((e * e for e in x), arb(0)).sqrt(),
        tuple(lambda *x, k=k: x[k] / sum((e * e for e in x), arb(0)).sqrt() for k in range(3)),
        4, 5, "squares and a sum of three positive numbers, under a root; the slope is a quotient by it",
        params={"axis": (0,), "keepdims": False},
    ),
}  # fmt: skip
"""``[cephes]`` S. Moshier, Cephes mathematical library, the comments of gamma.c and psi.c."""


def units(found, truth, scale):
    """The distance of a float from a ball, or a little more, in spacings of floats at the larger of truth and scale."""
    spacing = np.spacing(max(abs(float(truth.mid())), scale))
    return float(((arb(float(found)) - truth) / arb(float(spacing))).abs_upper())


def test_every_function_that_leaves_the_rationals_has_its_row():
    # a determinant is as accurate as the condition of its matrix allows
    assert set(TABLE) == IRRATIONAL - {"log_abs_det"}
    assert all(row.why for row in TABLE.values())


@pytest.mark.parametrize("name", TABLE)
def test_values_and_slopes_are_as_accurate_as_their_row_says(name):
    row, primitive = TABLE[name], PRIMITIVES[name]
    points = row.points.reshape(len(row.points), -1)
    if "axis" in row.params:
        values = np.array([primitive(p, **row.params) for p in points])
        slopes = np.array([grad(lambda x: primitive(x, **row.params))(p) for p in points]).T
    else:
        columns = tuple(points.T)
        values = primitive(*columns, **row.params)
        every = tuple(range(len(columns)))
        slopes = grad(lambda *x: total(primitive(*x, **row.params)), every)(*columns)
    with exact.precision(300):
        for k, point in enumerate(points):
            x = [arb(float(e)) for e in point]
            assert units(values[k], row.truth(*x), row.scale(*point)) <= row.value, (point, "value")
            for slope, truth in zip(slopes, row.slopes, strict=True):
                assert units(slope[k], truth(*x), row.slope_scale(*point)) <= row.slope, (point, "slope")


def test_a_unit_is_the_spacing_of_floats_and_nan_is_not_accurate():
    with exact.precision(300):
        third = arb(1) / 3
        assert units(1 / 3, third, 0.0) <= 0.5
        assert 0.5 < units(np.nextafter(1 / 3, 1), third, 0.0) <= 1.5
        assert units(1 / 3, third, 1.0) <= 0.125
        assert not units(np.nan, third, 0.0) <= 1e300
        assert not units(1 / 3, arb("nan"), 1.0) <= 1e300
