"""Iterative subjects: judged by a certificate that is evaluated exactly at what they return.

For the duality gap of the min-norm problem the scale is ``max_i |g_i|^2``, the square of the largest task gradient:
a normalised gap of 1e-3 means that the squared length of the combination is at most that share of it above the
least possible. Weights are never compared, for they need not be unique. A direction is judged by its distance from the
right one, but certified by its gap as well: its contract's ``certify`` needs no weights.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np

from refgrad import exact
from refgrad.conformance.judging.numbers import fractions, quotient
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts.contract import Contract, Problem
from refgrad.errors import Inconclusive, UsageError
from refgrad.exact import to_fractions

__all__ = [
    "SCALES", "Setting", "breaks", "certified", "check_options", "falls", "keeps", "rate", "relative", "shrinks",
    "size",
]  # fmt: skip

FEWEST, SLOWEST, PLAUSIBLE = 3, 0.25, 0.1


def _largest_square(arguments: tuple[Any, ...]) -> Fraction:
    rows = to_fractions(arguments[0])
    return max((sum((v * v for v in row), Fraction(0)) for row in rows), default=Fraction(0)) or Fraction(1)


SCALES: dict[str, tuple[str, Callable[[tuple[Any, ...]], Fraction]]] = {"gap": ("max |g_i|^2", _largest_square)}
"""For each certificate, what it is divided by, in words and as a function of the exact arguments; never 0."""


@dataclass(frozen=True)
class Setting:
    """The certificates at one value of the knob.

    Attributes
    ----------
    value : float
        Of the knob, such as ``max_iters``.
    median, worst : float
        Normalised, over the problems on which more than the attainable error is left, of several settings at the first
        of them: those that stay short of the truth are the hard ones. 0 if there is none.
    """

    value: float
    median: float
    worst: float

    @classmethod
    def of(cls, value: float, gaps: Sequence[float]) -> Setting:
        """The summary of `gaps`."""
        left = [gap for gap in gaps if gap > 0] or [0.0]
        return cls(value, median(left), max(left))


def check_options(
    contract: Contract, vary: Mapping[str, Sequence[float]] | None, promise: Mapping[str, float] | None
) -> None:
    """Raise `UsageError` unless the options for iterative subjects fit the contract."""
    for name, option in (("vary", vary), ("promise", promise)):
        if option and contract.certificate not in SCALES:
            raise UsageError(
                f"the contract {contract.name} has no certificate for iterative subjects: leave out --{name} "
                f"{', '.join(option)}, in Python {name}="
            )
    settings = list(next(iter(vary.values()))) if vary else []
    if vary and (len(vary) != 1 or len(settings) < FEWEST):
        raise UsageError(
            f"expected one knob with at least {FEWEST} settings, the most accurate last, like max_iters=100,1000,10000 "
            f"or tol=1e-2,1e-4,1e-6; got {vary}"
        )
    steps = [later - earlier for earlier, later in pairwise(settings)]
    finite = all(math.isfinite(v) for v in settings)
    if vary and not (finite and (all(step > 0 for step in steps) or all(step < 0 for step in steps))):
        raise UsageError(
            f"expected settings that are finite and differ from one another, all rising or all falling; got {vary}"
        )
    if promise and set(promise) != {contract.certificate}:
        raise UsageError(
            f"expected a promise about {contract.certificate}, like {contract.certificate}=1e-3, in Python "
            f"promise={{{contract.certificate!r}: 1e-3}}; got {promise!r}"
        )
    if promise and not all(0 < bound < math.inf for bound in promise.values()):
        raise UsageError(f"expected a promise that is positive and finite; got {promise}")


def relative(referee: Referee, problem: Problem, error: Fraction, value: np.ndarray | None = None) -> float:
    """An upper bound of the certificate of an output, in units of its scale; infinity beyond the range of floats.

    Parameters
    ----------
    referee : Referee
    problem : Problem
    error : Fraction
        An upper bound of the output's error, which is the certificate itself where the contract has no ``certify``.
    value : array or None
        The output, of floats or Fractions. Without it, a certificate that is not the error is bounded by it: a
        direction that errs by e in every component has a gap of at most ``(3 |g| + |e|) |e| + |e|_1 |g|``.
    """
    if not error:
        return 0.0
    scale = size(referee, problem)
    if referee.contract.certify is None:
        return quotient(error, scale)
    if value is not None:
        with contextlib.suppress(Inconclusive):
            return quotient(certified(referee, problem, value), scale)
        return math.inf
    count = math.prod(referee.contract.shape(problem.inputs))
    share = quotient(error, Fraction(1)) / math.sqrt(scale)
    return (3 + math.sqrt(count) * share) * math.sqrt(count) * share + count * share


def certified(referee: Referee, problem: Problem, value: np.ndarray) -> Fraction:
    """An upper bound of what the contract's ``certify`` says of an output, of floats or Fractions."""
    assert referee.contract.certify is not None
    output = value if value.dtype == object else fractions(value)
    found: Fraction = exact.evaluate(referee.contract.certify, referee.arguments(problem), output).high.item()
    return found


def keeps(worst: float) -> str:
    """The promise that a worst certificate would keep, in words: with two digits, rounded up.

    >>> keeps(1.84e-9)
    '1.9e-09'
    """
    exponent = math.floor(math.log10(worst)) - 1
    return f"{math.ceil(worst / 10.0**exponent * (1 - 1e-12)) * 10.0**exponent:.2g}"


def size(referee: Referee, problem: Problem) -> Fraction:
    """What the certificate is divided by on one problem."""
    certificate = referee.contract.certificate
    assert certificate is not None
    return SCALES[certificate][1](referee.arguments(problem))


def rate(settings: Sequence[Setting]) -> dict[str, float | None]:
    """The exponents p in ``gap ~ setting^p``, by least squares in logarithms, for the median and the worst gap."""
    return {name: _slope([(s.value, getattr(s, name)) for s in settings]) for name in ("median", "worst")}


def falls(settings: Sequence[Setting]) -> bool:
    """Whether the worst gap falls from each setting to the next, and at a rate, or reaches what may be attained."""
    slope = rate(settings)["worst"]
    return shrinks(settings) and (slope is None or abs(slope) >= SLOWEST)


def shrinks(settings: Sequence[Setting]) -> bool:
    """Whether the worst gap falls from each setting to the next, however slowly."""
    worst = [s.worst for s in settings]
    if len(settings) < FEWEST or not all(math.isfinite(w) for w in worst):
        return False
    return all(later < earlier or later == earlier == 0 for earlier, later in pairwise(worst))


def breaks(
    referee: Referee, problem: Problem, error: Fraction, promise: Mapping[str, float], value: np.ndarray | None = None
) -> bool:
    """Whether a certificate is larger than what was promised of it; `error` and `value` as for `relative`."""
    return any(relative(referee, problem, error, value) > bound for bound in promise.values())


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and 0 < y < math.inf]
    if len(logs) < 2:
        return None
    mean_x, mean_y = (sum(column) / len(logs) for column in zip(*logs, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in logs)
    return round(sum((x - mean_x) * (y - mean_y) for x, y in logs) / spread, 3) if spread else None
