"""One number computed in several ways: on rationals, on balls, on floats, and against its integral.

A way is a list of arrays of terms whose sum is the number. An evaluation gives an interval for each way, and the ways
agree if the intervals have a point in common:

rationals  the intervals are points: the numbers are equal
balls      certified enclosures, at a precision that makes them narrow
floats     numbers with half the bound for rounding on either side
segment    the quotient of a function over a short segment, and an enclosure of its derivative over all of it

The bound for rounding is the one that refgrad sets to sound code everywhere (`refgrad.exact.attainable`), found in
floats because such a function runs on nothing else: 30 times what a backward-stable method may leave, that is how far
the numbers themselves move if the arguments move by a unit roundoff u, plus u times the sum of the absolute values of
the terms.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.autodiff.core import PRIMITIVES
from refgrad.backend import of, shape_of
from refgrad.errors import Inconclusive, InvalidInput, NotFinite, NotRational, Undecided
from refgrad.typing import Array

__all__ = [
    "Evaluation",
    "Interval",
    "Leaves",
    "OnLeaves",
    "meet",
    "on_balls",
    "on_floats",
    "on_rationals",
    "on_segment",
    "terms",
    "total",
]

_LIMIT, _PATTERNS = 30, 4
_BITS, _STEP, _WIDTH = (256, 1024, 4096), Fraction(1, 2**64), Fraction(1, 2**40)

Leaves = list[Any]
OnLeaves = Callable[..., Leaves]
Ways = Callable[..., dict[str, Leaves]]
Interval = tuple[Any, Any]
Evaluation = Callable[[Leaves, Leaves, Leaves], tuple[dict[str, Interval], float]]
"""From integer directions to the interval of each way, and a figure of how far apart or how wide the worst is."""


def terms(a: Sequence[Any], b: Sequence[Any]) -> Leaves:
    """The products of two lists of arrays."""
    return [x * y for x, y in zip(a, b, strict=True)]


def total(parts: Leaves) -> Any:
    """The sum of all elements of all arrays."""
    return sum(_sum(part) for part in parts)


def _sum(x: Any) -> Any:
    return PRIMITIVES["sum"](x, axis=tuple(range(len(shape_of(x)))), keepdims=False)


def meet(intervals: dict[str, Interval]) -> bool:
    """Whether the intervals have a point in common."""
    return bool(max(low for low, _ in intervals.values()) <= min(high for _, high in intervals.values()))


def on_rationals(f: OnLeaves, given: Leaves, ways: Ways) -> Evaluation:
    """Ways of f at the exact values of `given`."""
    from refgrad import exact  # on demand: it brings python-flint

    xs = [exact.asarray(x) for x in given]

    def evaluation(*vectors: Leaves) -> tuple[dict[str, Interval], float]:
        found = ways(f, xs, *([exact.asarray(v) for v in leaves] for leaves in vectors))
        return {way: _bounds(parts)[:2] for way, parts in found.items()}, 0.0

    return evaluation


def on_balls(f: OnLeaves, given: Leaves, ways: Ways) -> Evaluation:
    """Ways of f at balls that enclose `given`; raises `Inconclusive` if they stay wide."""
    from refgrad import exact

    def evaluation(*vectors: Leaves) -> tuple[dict[str, Interval], float]:
        for bits in _BITS:
            with exact.precision(bits):
                xs = [exact.balls(x) for x in given]
                try:
                    found = ways(f, xs, *([exact.balls(v) for v in leaves] for leaves in vectors))
                    bounds = {way: _bounds(parts) for way, parts in found.items()}
                except Undecided:
                    continue
            intervals = {way: three[:2] for way, three in bounds.items()}
            worst = max(_width(*three) for three in bounds.values())
            if worst <= _WIDTH or not meet(intervals):
                return intervals, float(worst)
        raise Inconclusive(f"a branch turns on equal numbers, or the enclosures stay wide, at {_BITS[-1]} bits")

    return evaluation


def on_segment(f: OnLeaves, given: Leaves, truth: Callable[..., Any]) -> Evaluation:
    """The mean value theorem for `truth`, which gives a function and what claims to be its derivative along v."""
    from refgrad import exact

    def evaluation(*vectors: Leaves) -> tuple[dict[str, Interval], float]:
        with exact.precision(_BITS[0]):
            us, vs, ws = ([exact.balls(v) for v in leaves] for leaves in vectors)
            phi, derivative = truth(f, us, vs, ws)
            first = [exact.balls(x) for x in given]
            last = [x + _STEP * v for x, v in zip(first, vs, strict=True)]
            between = [_hull(a, b) for a, b in zip(first, last, strict=True)]
            quotient = _bounds([(phi(*last) - phi(*first)) / _STEP])
            slopes = _bounds([derivative(*between)])
        worst = max(_width(*quotient), _width(*slopes))
        if worst > _WIDTH:
            raise Inconclusive(f"over a segment of length {float(_STEP):.0e} the derivative has too wide an enclosure")
        return {"the quotient": quotient[:2], "the derivative": slopes[:2]}, float(worst)

    return evaluation


def _hull(a: Array, b: Array) -> Array:
    """Balls that contain all numbers between those of a and those of b."""
    united = np.array([*(p.union(q) for p, q in zip(a.data.flat, b.data.flat, strict=True)), None], object)[:-1]
    return type(a)(united.reshape(a.shape))


def _bounds(parts: Leaves) -> tuple[Fraction, Fraction, Fraction]:
    """Bounds of the sum of terms, and an upper bound of the sum of their absolute values."""
    from refgrad import exact

    low = high = size = Fraction(0)
    for term in parts:
        if not of(term).exact:
            raise NotRational(f"expected exact arrays, got {type(term).__name__}: the function went through floats")
        below, above = exact.bounds(_sum(term))
        low, high = low + below.item(), high + above.item()
        size += sum(max(abs(a), abs(b)) for a, b in zip(*(bound.flat for bound in exact.bounds(term)), strict=True))
    return low, high, size


def _width(low: Fraction, high: Fraction, size: Fraction) -> Fraction:
    """The width of an interval relative to the terms, or by itself if the number may be 0."""
    return (high - low) / (1 if low <= 0 <= high else size)


def on_floats(f: OnLeaves, given: Leaves, name: str, ways: Ways) -> Evaluation:
    """Ways of f at `given` themselves; raises `NotFinite`, and `InvalidInput` if they are not the same twice."""
    unit = max(_unit(x) for x in (*given, *f(*given)))

    def numbers(xs: Leaves, vectors: Sequence[Leaves]) -> dict[str, tuple[float, float]]:
        us, vs, ws = vectors
        cast = [_cast(us, f(*xs)), _cast(vs, xs), _cast(ws, xs)]
        return {way: _float_total(parts) for way, parts in ways(f, xs, *cast).items()}

    def evaluation(*vectors: Leaves) -> tuple[dict[str, Interval], float]:
        found, again = numbers(given, vectors), numbers(given, vectors)
        if found != again and all(map(math.isfinite, itertools.chain(*found.values(), *again.values()))):
            raise InvalidInput(f"{name}: expected one result at one point; got different ones, as from random numbers")
        moved = 0.0
        for pattern in range(_PATTERNS):
            signs = random.Random(pattern)
            near = numbers([_beside(x, unit, signs) for x in given], vectors)
            moved = max([moved, *(abs(near[way][0] - found[way][0]) for way in found)])
        limit = _LIMIT * (moved + unit * max(size for _, size in found.values()))
        if not math.isfinite(limit):
            raise NotFinite(f"{name}: a derivative is infinite or NaN here; expected a point where it is not")
        values = [value for value, _ in found.values()]
        apart = max(values) - min(values)
        return {w: (v - limit / 2, v + limit / 2) for w, (v, _) in found.items()}, apart / limit if apart else 0.0

    return evaluation


def _host(x: Any) -> np.ndarray:
    return np.asarray(x.get() if hasattr(x, "get") else x).astype(np.float64)


def _float_total(parts: Leaves) -> tuple[float, float]:
    every = np.concatenate([_host(part).ravel() for part in parts])
    return float(every.sum()), float(np.abs(every).sum())


def _unit(x: Any) -> float:
    return float(np.finfo(str(getattr(x, "dtype", "float64")).rpartition(".")[2]).eps) / 2


def _cast(vectors: Leaves, like: Leaves) -> Leaves:
    """Integer vectors as arrays of the library and dtype of `like`."""
    cast = []
    for v, x in zip(vectors, like, strict=True):
        xp = of(x)
        cast.append(
            v.astype(getattr(x, "dtype", float)) if xp.name == "numpy" else xp.astype(xp.xp.asarray(v), x.dtype)
        )
    return cast


def _beside(x: Any, unit: float, signs: random.Random) -> Any:
    # to nearest, x + 2 u x is the next float or the one after it
    pattern = np.array([signs.choice((-1, 1)) for _ in range(math.prod(shape_of(x)))], int).reshape(shape_of(x))
    return x + x * (_cast([pattern], [x])[0] * (2 * unit))
