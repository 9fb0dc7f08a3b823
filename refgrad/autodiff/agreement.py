"""Agreement of several computations of one number: on rationals, on balls, on floats, and against its integral.

A way is a list of arrays of terms whose sum is the number. An evaluation gives an interval for each way, and the ways
agree if the intervals have a point in common:

rationals  the intervals are points: the numbers are equal
balls      certified enclosures, at a precision that makes them narrow
floats     numbers with half the bound for rounding on either side
segment    the quotient of a function over a short segment, and an enclosure of its derivative over all of it

The bound for rounding is 30 times what may be attained (`refgrad.accuracy`), found in floats because such a function
runs on nothing else. Whether two rules are transposes of one another, ``<u, J t> = <J^T u, t>``, is asked in the same
way, of rules that stand alone, for fixed vectors t and u of odd integers.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from refgrad.accuracy import LIMIT, attainable
from refgrad.autodiff.arguments import is_real
from refgrad.autodiff.core import PRIMITIVES
from refgrad.backend import of, shape_of
from refgrad.errors import Inconclusive, InvalidInput, Kink, NotFinite, NotRational, Undecided, WrongDerivative
from refgrad.typing import Array

__all__ = [
    "Evaluation", "Interval", "Leaves", "OnLeaves", "Rules", "check_adjoint", "integers_like", "meet", "on_balls",
    "on_floats", "on_rationals", "on_segment", "terms", "total",
]  # fmt: skip

_PATTERNS = 4
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
                except Kink:
                    raise
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
        if math.inf in (-below.item(), above.item()):
            raise Undecided("a derivative is beyond 2^8192")
        low, high = low + below.item(), high + above.item()
        size += sum(max(abs(a), abs(b)) for a, b in zip(*(bound.flat for bound in exact.bounds(term)), strict=True))
    return low, high, size


def _width(low: Fraction, high: Fraction, size: Fraction) -> Fraction:
    """The width of an interval relative to the terms, or by itself if the number may be 0."""
    return (high - low) / (1 if low <= 0 <= high else size)


def on_floats(f: OnLeaves, given: Leaves, name: str, ways: Ways) -> Evaluation:
    """Ways of f at `given` themselves; raises `NotFinite`, and `InvalidInput` if they are not the same twice."""
    unit = _unit_roundoff([*given, *f(*given)])

    def numbers(xs: Leaves, vectors: Sequence[Leaves]) -> dict[str, tuple[float, float]]:
        us, vs, ws = vectors
        cast = [_cast(us, f(*xs)), _cast(vs, xs), _cast(ws, xs)]
        return {way: _float_total(parts) for way, parts in ways(f, xs, *cast).items()}

    def evaluation(*vectors: Leaves) -> tuple[dict[str, Interval], float]:
        found, again = numbers(given, vectors), numbers(given, vectors)
        if found != again and all(map(math.isfinite, itertools.chain(*found.values(), *again.values()))):
            raise InvalidInput(f"{name}: expected one result at one point; got different ones, as from random numbers")
        values, sizes = zip(*found.values(), strict=True)

        def near(pattern: int) -> list[float]:
            signs = random.Random(pattern)
            return [value for value, _ in numbers([_beside(x, unit, signs) for x in given], vectors).values()]

        limit = LIMIT * attainable(values, map(near, range(_PATTERNS)), unit, max(sizes))
        if not math.isfinite(limit):
            raise NotFinite(f"{name}: a derivative is infinite or NaN here; expected a point where it is not")
        apart = max(values) - min(values)
        return {w: (v - limit / 2, v + limit / 2) for w, (v, _) in found.items()}, apart / limit if apart else 0.0

    return evaluation


def _unit_roundoff(numbers: Sequence[Any]) -> float:
    """The largest unit roundoff among the floats of some arrays."""
    names = {str(getattr(x, "dtype", "float64")).rpartition(".")[2] for x in numbers}
    return max((float(np.finfo(name).eps) / 2 for name in names & {"float16", "float32", "float64"}), default=0.0)


def _float_total(parts: Leaves) -> tuple[float, float]:
    """The sum of terms, and of their absolute values."""
    every = np.concatenate([np.zeros(0), *(_host(part).ravel() for part in parts)])
    return float(every.sum()), float(np.abs(every).sum())


def _host(x: Any) -> np.ndarray:
    return np.asarray(x.get() if hasattr(x, "get") else x).astype(np.float64)


def _cast(vectors: Leaves, like: Leaves) -> Leaves:
    """Integer vectors as arrays of the library and dtype of `like`."""
    cast = []
    for v, x in zip(vectors, like, strict=True):
        xp = of(x)
        if xp.name == "numpy":
            cast.append(v.astype(getattr(x, "dtype", float)))
        else:
            cast.append(xp.zeros_like(x) + v if xp.exact else xp.astype(xp.xp.asarray(v), x.dtype))
    return cast


def _beside(x: Any, unit: float, signs: random.Random) -> Any:
    # to nearest, x + 2 u x is the next float or the one after it
    pattern = np.array([signs.choice((-1, 1)) for _ in range(math.prod(shape_of(x)))], int).reshape(shape_of(x))
    return x + x * (_cast([pattern], [x])[0] * (2 * unit))


class Rules(Protocol):
    """A function of leaves that returns leaves, with its derivative rules; `places` are the names of its arguments."""

    @property
    def name(self) -> str: ...
    @property
    def run(self) -> Callable[..., Leaves]: ...
    @property
    def push(self) -> Callable[..., Leaves]: ...
    @property
    def pull(self) -> Callable[..., Leaves]: ...
    @property
    def places(self) -> Sequence[str]: ...


def check_adjoint(rules: Rules, ys: Sequence[Any], xs: Sequence[Any]) -> bool:
    """Whether the rules were seen to be transposes at `xs`, with results `ys`; plain arrays.

    False if nothing can be said, because a number was infinite or NaN.

    Raises
    ------
    WrongDerivative
        If they are not; the message gives both numbers for the arguments on which they differ.
    """
    ts, us = _vectors(xs, 1), _vectors(ys, 2)

    unit = _unit_roundoff([*xs, *ys])
    with np.errstate(all="ignore"):  # the rules will say it again, when they are used
        cotangents = rules.pull(ys, xs, us)
        one, other = _number(us, rules.push(ys, xs, ts)), _number(cotangents, ts)
        if not (one.finite and other.finite):
            return False
        if one.agrees(other, unit):
            return True
        moved = _moved_by_rounding(rules, xs, ts, us, one, other)
    if one.agrees(other, unit, moved):
        return True
    wrong = []
    for i, t in enumerate(ts):
        if t is None:
            continue
        only = [s if i == j or s is None else 0 * s for j, s in enumerate(ts)]
        pushed, pulled = _number(us, rules.push(ys, xs, only)), _number([cotangents[i]], [t])
        if not pushed.agrees(pulled, unit, moved):
            wrong.append(f"argument {rules.places[i]}: <u, J t> = {pushed.text} but <J^T u, t> = {pulled.text}")
    if not wrong:
        found = f"<u, J t> = {one.text} but <J^T u, t> = {other.text}"
        wrong = [f"all arguments together: {found}; the jvp rule is not linear in the tangents"]
    raise WrongDerivative(
        f"{rules.name}: the jvp and vjp rules are not transposes of one another. For integer vectors t and u, "
        f"{'; '.join(wrong)}. Mend the rule that is wrong; check=False switches this check off."
    )


def integers_like(x: Array, shift: int) -> Array:
    """An array like x of odd integers from -13 to 11, without a period that nearly fits, the same in every run."""
    k = np.arange(math.prod(shape_of(x)), dtype=np.int64) + 977 * shift
    return _cast([(k * (k + 1) * 40503 // 64 % 13 * 2 - 13).reshape(shape_of(x))], [x])[0]


def _vectors(leaves: Sequence[Any], shift: int) -> Leaves:
    return [integers_like(x, shift + 2 * i) if is_real(x) else None for i, x in enumerate(leaves)]


@dataclass(frozen=True)
class _Number:
    """A sum, between two bounds that exact numbers make equal, and the sum of its terms' absolute values."""

    low: Any
    high: Any
    size: Any
    exact: bool

    @property
    def finite(self) -> bool:
        return self.exact or math.isfinite(self.size)

    @property
    def text(self) -> str:
        return str(self.low) if self.low == self.high else f"[{float(self.low)}, {float(self.high)}]"

    def agrees(self, other: _Number, unit: float, moved: float = 0.0) -> bool:
        """Whether exact bounds overlap; whether floats are within 30 times their own rounding and `moved`."""
        if self.exact and other.exact:
            return bool(max(self.low, other.low) <= min(self.high, other.high))
        limit = LIMIT * (unit * float(self.size + other.size) + moved)
        return bool(abs(float(self.low - other.low)) <= limit)


def _number(a: Sequence[Any], b: Sequence[Any]) -> _Number:
    """The inner product of two lists of arrays; None has no part in it."""
    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None]
    if all(of(x, y).exact for x, y in pairs):
        return _Number(*_bounds([x * y for x, y in pairs]), exact=True)
    total, size = _float_total([_host(x) * _host(y) for x, y in pairs])
    return _Number(total, total, size, exact=False)


def _moved_by_rounding(rules: Rules, xs: Sequence[Any], ts: Leaves, us: Leaves, one: _Number, other: _Number) -> float:
    """How far the two numbers move if the arguments and the results move by a unit roundoff."""
    if one.exact:
        return 0.0
    unit = _unit_roundoff(xs)

    def near(pattern: int) -> list[float]:
        signs = random.Random(pattern)
        there = [_beside(x, unit, signs) if is_real(x) else x for x in xs]
        ys = [_beside(y, unit, signs) if is_real(y) else y for y in rules.run(*there)]
        return [_number(us, rules.push(ys, there, ts)).low, _number(rules.pull(ys, there, us), ts).low]

    moved = attainable([one.low, other.low], map(near, range(_PATTERNS)), unit, 0.0)
    return moved if math.isfinite(moved) else math.inf
