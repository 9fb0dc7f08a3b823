"""Floats of every magnitude, and how far values and derivatives are from the truth there, in attainable errors.

The truth is the function run on truncated Taylor series with balls for coefficients (`helpers.jets`: python-flint's
functions and recurrences, no rule of the engine), at a precision that is raised until nothing is left to doubt. A truth
below the smallest normal number is met within `attainable`, which is never less than the smallest subnormal one; one
beyond the largest, by the infinity.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

import refgrad.numpy as rnp
from helpers.jets import JETS, Jet, JetArray
from refgrad import exact, grad
from refgrad.accuracy import LARGEST, LIMIT, SMALLEST, UNIT_ROUNDOFF
from refgrad.autodiff.core import PRIMITIVES
from refgrad.numpy import nn

try:
    from flint import arb
except ImportError:  # every test that would use it is skipped
    arb = None

__all__ = ["CASES", "LIMIT", "Case", "ratio", "worst"]

PRECISIONS = (256, 1024, 4096)
"""Bits tried in turn; the last resolves products of a few numbers of float64 against 1."""


@dataclass(frozen=True)
class Case:
    """An elementwise function, the same on jets, and the kinds of domains its arguments are from."""

    f: Callable
    truth: Callable
    kinds: tuple[str, ...]
    floor: Callable | None = None


def flushed(x):
    """SciPy's numbers below the smallest normal one may be 0, or have lost their digits."""
    return np.full(x.shape, float(np.finfo(x.dtype).tiny))


def rounded(x):
    """A factor below the smallest normal number is wrong by a part of the smallest one, and so is x times it."""
    return float(np.finfo(x.dtype).smallest_subnormal) * np.clip(abs(x), 1, 1000)


def rounded_power(a, b):
    """The same of powers, times logarithms of a or exponents."""
    return float(np.finfo(a.dtype).smallest_subnormal) * (1 + np.log(a.astype(float)) ** 2 + b.astype(float) ** 2)


FLOORS = {"erfc": flushed, "lgamma": flushed, "polygamma": flushed, "pow_real": rounded_power}


def primitives():
    """Every differentiable elementwise primitive with each set of parameters that its cases name."""
    found = {}
    for primitive in PRIMITIVES.values():
        if primitive.vjp is None or not primitive.vjp.__qualname__.startswith("elementwise."):
            continue
        for case in primitive.cases:
            f = lambda *x, p=primitive, params=case.params: p(*x, **params)
            kinds = tuple(domain.kind for domain in case.args)
            if kinds[0] == "mask":
                f, kinds = lambda *x, f=f: f(np.arange(x[0].size) % 3 == 0, *x), kinds[1:]
            if primitive.name == "lgamma":  # SciPy's is infinite below the smallest normal number
                kinds = ("normal",)
            truth = f
            if primitive.name == "sech_squared":  # of a number and its tanh
                f, truth, kinds = lambda x, f=f: f(x, rnp.tanh(x)), lambda x, f=f: f(x, 1), ("real",)
            name = " ".join([primitive.name, *map(str, case.params.values())])
            found.setdefault(name, Case(f, truth, kinds, FLOORS.get(primitive.name)))
    return found


def sigmoid(x):
    return 1 / (1 + JETS.exp(-x))


def tanh_gelu(x):
    return x * sigmoid((8 / arb.pi()).sqrt() * (x + 44715 * x * x * x / 1000000))


CASES = primitives() | {
    "digamma": Case(rnp.digamma, lambda x: JETS.polygamma(0, x), ("positive",)),
    "elu": Case(nn.elu, lambda x: JETS.where(x > 0, x, JETS.expm1(x)), ("nonzero",)),
    "gelu": Case(nn.gelu, lambda x: x * JETS.erfc(-x / arb(2).sqrt()) / 2, ("real",), lambda x: 40 * flushed(x)),
    "gelu, tanh": Case(lambda x: nn.gelu(x, approximate=True), tanh_gelu, ("real",), lambda x: 22**4 * rounded(x)),
    "leaky_relu": Case(lambda x: nn.leaky_relu(x, 0.25), lambda x: JETS.where(x > 0, x, x / 4), ("nonzero",)),
    "log_logistic": Case(nn.log_logistic, lambda x: -JETS.log1p(JETS.exp(-x)), ("real",)),
    "power, 2.5": Case(lambda x: rnp.power(x, 2.5), lambda x: x * x * JETS.sqrt(x), ("positive",)),
    "reciprocal": Case(rnp.reciprocal, lambda x: 1 / x, ("nonzero",)),
    "rsqrt": Case(rnp.rsqrt, lambda x: 1 / JETS.sqrt(x), ("positive",)),
    "silu": Case(nn.silu, lambda x: x * sigmoid(x), ("real",), rounded),
    "sinc, normalised": Case(rnp.sinc, lambda x: JETS.sinc(x * arb.pi(), 0), ("small",)),
}
"""The primitives, and the smooth functions made of several, written down once more."""


def floats(dtype, density=1):
    """Numbers of both signs, sorted: all magnitudes, tails, the ends of domains, multiples of pi and what is near."""
    kind = np.finfo(dtype)
    powers = np.arange(kind.minexp - kind.nmant, kind.maxexp, kind.maxexp / (28 * density)).astype(int)
    magnitudes = np.ldexp(1 + (powers * 0.6180339887) % 1, powers)  # mantissas of all kinds
    tails = np.concatenate([np.geomspace(15, 800, int(18 * density)), [1e5, 1e9]])
    ordinary = np.concatenate([np.linspace(0.05, 3, int(18 * density)), np.linspace(3, 15, int(13 * density))])
    special = np.array([0.5, 1, 2, math.pi / 2, math.pi, 100 * math.pi])
    near = (special[:, None] * (1 + np.array([0, 1e-12, -1e-12, 1e-6, -1e-6, 1e-3, -1e-3]))).ravel()
    with np.errstate(over="ignore", under="ignore"):
        found = np.concatenate([magnitudes, tails, ordinary, near]).astype(dtype)
        close = np.concatenate([np.nextafter(found[-near.size :], dtype(to)) for to in (0, math.inf)])
    found = np.concatenate([found, close, [kind.max, kind.tiny, kind.smallest_subnormal]])
    found = np.unique(found[(found > 0) & np.isfinite(found)])
    return np.concatenate([-found[::-1], found])


def points(kinds, dtype, density=1):
    """Arguments, one array each, of the given kinds of domains; of two, of all magnitudes and of nearly the same."""
    x = floats(dtype, density)
    if len(kinds) == 1:
        low = {"positive": 0, "beyond": 1, "normal": np.finfo(dtype).tiny}.get(kinds[0], -math.inf)
        high = 100 if kinds[0] == "small" else math.inf
        return [x[(x > low) & (x < high) & (-x < high)]]
    x, rng = x[abs(x) < np.finfo(dtype).max / 2][::3], np.random.default_rng(0)
    factors = (1 + 1e-5, 1 - 1e-3, -0.5)
    pairs = [(x, rng.permutation(x)) for _ in range(int(2 * density))] + [(x, (c * x).astype(dtype)) for c in factors]
    pairs += [(x, np.ones_like(x)), (np.ones_like(x), x)]
    a, b = (np.concatenate(side) for side in zip(*pairs, strict=True))
    inside = np.ones(a.shape, bool)
    for kind, z in zip(kinds, (a, b), strict=True):
        inside &= z > {"positive": 0, "beyond": 1}[kind] if kind in ("positive", "beyond") else z != 0
    return [a[inside], b[inside]]


def judged(xs, order):
    """Where the derivatives of an order are held to the limit.

    Of one argument, everywhere. Of two, the slopes are where these are of nearly one magnitude or ordinary, and the
    curvatures where they are ordinary, so that squares and quotients of them are normal numbers: a rule is a product
    of several factors, and the digits that one of them loses among the subnormal numbers are lost.
    """
    everywhere = np.ones(xs[0].shape, bool)
    if len(xs) == 1 or order == 0:
        return everywhere
    kind = np.finfo(xs[0].dtype)
    small, large = (np.min(np.abs(xs), axis=0), np.max(np.abs(xs), axis=0))
    ordinary = (small > float(kind.tiny) ** 0.4) & (large < float(kind.max) ** 0.4)
    alike = (small > 4 * kind.tiny) & (large / 4096 < small)
    return ordinary if order == 2 else ordinary | alike


def derivatives(f, xs):
    """The value, the slopes and the curvatures of an elementwise f at every place: one array each."""
    n = len(xs)
    slope = lambda i: grad(lambda *x: rnp.sum(f(*x)), i)
    second = [grad(lambda *x, i=i: rnp.sum(slope(i)(*x)), k)(*xs) for i in range(n) for k in range(i, n)]
    return [f(*xs), *(slope(i)(*xs) for i in range(n)), *second]


def orders(n):
    """The order of each array that `derivatives` returns for n arguments."""
    return [0, *[1] * n, *[2] * (n * (n + 1) // 2)]


def series(f, xs):
    """What `derivatives` should return for arguments that are lists of balls, as lists of balls."""

    def along(v):
        y = f(*(jets(x, d) for x, d in zip(xs, v, strict=True)))
        return [[arb(c) for c in Jet.of(e).c[:3]] for e in y.data]

    n = len(xs)
    lines = [along([int(i == k) for k in range(n)]) for i in range(n)]
    second = []
    for i in range(n):
        second.append([2 * y[2] for y in lines[i]])
        for k in range(i + 1, n):
            both = along([int(j in (i, k)) for j in range(n)])
            second.append([y[2] - a[2] - b[2] for y, a, b in zip(both, lines[i], lines[k], strict=True)])
    return [[y[0] for y in lines[0]], *([y[1] for y in line] for line in lines), *second]


def jets(x, direction):
    """The series ``x + direction t`` of every ball of a list."""
    return JetArray(np.array([*(Jet((a, arb(direction), arb(0), arb(0))) for a in x), None], object)[:-1])


def ratios(case, xs):
    """The errors of the derivatives at `xs` in attainable errors: an array for each that `derivatives` returns.

    NaN where the truth is no number, or the error is not `judged`.
    """
    name = xs[0].dtype.name
    limits = UNIT_ROUNDOFF[name], SMALLEST[name], LARGEST[name]
    unit, smallest, largest = (arb(q.numerator) / q.denominator for q in limits)
    with np.errstate(all="ignore"):
        floor = [smallest] * xs[0].size if case.floor is None else [smallest + float(e) for e in case.floor(*xs)]
        found = [np.broadcast_to(y, xs[0].shape).astype(float) for y in derivatives(case.f, xs)]
    result = np.where([judged(xs, order) for order in orders(len(xs))], -1.0, np.nan)
    places = np.arange(xs[0].size)
    for bits in PRECISIONS:
        with exact.precision(bits):
            plain = [[arb(float(x[k])) for k in places] for x in xs]
            # several, for an oscillating function may return to its value by chance
            one = [(arb(k) / 12,) for k in (-12, -7, 5, 12)]
            steps = one if len(xs) == 1 else itertools.product((1, -1), repeat=2)
            moved = [[[e * (1 + s * unit) for e in x] for x, s in zip(plain, step, strict=True)] for step in steps]
            base, near = series(case.truth, plain), [series(case.truth, x) for x in moved]
            for k, place in enumerate(places):
                if not base[0][k].is_finite():  # outside the domain
                    result[:, place] = np.nan
                for j in np.flatnonzero(result[:, place] == -1):
                    others = [n[j][k] for n in near]
                    result[j, place] = ratio(found[j][place], base[j][k], others, unit, floor[place], largest)
        places = np.flatnonzero((result == -1).any(axis=0))
        if not places.size:
            return result
    raise AssertionError(f"the truth is not known at {[x[places] for x in xs]}")


def ratio(y, truth, near, unit, smallest, largest):
    """The error of one float in attainable errors; -1 where the balls are too wide to say, NaN where they are none."""
    if not truth.is_finite():
        return math.nan
    near = [t for t in near if t.is_finite()]
    if any(t.rad() > abs(t.mid()) * unit / 1000 and t.rad() > smallest / 1000 for t in (truth, *near)):
        return -1.0
    truth = truth.mid()
    attainable = max([abs(t.mid() - truth) for t in near], default=arb(0)) + unit * abs(truth) + smallest
    if math.isinf(y):
        return 0.0 if (y > 0) == (truth > 0) and abs(truth) + LIMIT * attainable >= largest else math.inf
    return math.inf if math.isnan(y) else float(abs(arb(float(y)) - truth) / attainable)


def worst(case, dtype, density=1):
    """For each order the largest ratio, and where."""
    xs = points(case.kinds, dtype, density)
    found = {}
    for order, row in zip(orders(len(xs)), ratios(case, xs), strict=True):
        place = np.argmax(np.nan_to_num(row, nan=-1, posinf=np.inf))
        found[order] = max(found.get(order, (-1.0, None)), (row[place], tuple(float(x[place]) for x in xs)))
    return found
