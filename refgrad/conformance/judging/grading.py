"""Grades: how far an output is from the truth, in units of what may be attained.

The error and the attainable error are absolute, and both are rational numbers; their ratio r is at most 30 for a
method that does what floats allow (30 is LAPACK's own threshold, and stable methods stay below 2). A failure is
*clear* beyond 50 times that line. No tolerance is guessed and none is tuned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

import numpy as np

from refgrad.conformance.judging.referee import Judge, Truth, fractions
from refgrad.contracts.contract import Problem
from refgrad.contracts.tools.answer import Variant

__all__ = ["EXIT_CODES", "LIMIT", "MARGIN", "Judgement", "exit_code", "judge", "matches", "ratio", "rounding_driven"]

LIMIT, MARGIN = 30, 50
ROUNDING = 2.0**20  # between 1, where the method errs, and 2**29, where rounding does

EXIT_CODES = {
    "exact": 0,
    "accurate": 0,
    "converging": 0,
    "variant": 1,
    "wrong": 1,
    "unstable": 1,
    "not-run": 3,
    "borderline": 4,
    "inconclusive": 4,
    "nothing-ran": 5,
}
"""The exit code of each grade; ``variant:NAME`` counts as ``variant``. 2 is a usage error, which has no grade."""


@dataclass(frozen=True)
class Judgement:
    """One output against the truth.

    Attributes
    ----------
    verdict : str
        ``"passed"``, ``"failed"``, or ``"unknown"`` where the bounds straddle the line or there is no truth.
    low, high : Fraction
        Bounds of the error.
    clear : bool
        Whether the failure is beyond the margin.
    rounded : bool
        Whether every component is the truth correctly rounded.
    """

    verdict: str
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    clear: bool = False
    rounded: bool = False


def exit_code(grade: str) -> int:
    """The exit code that belongs to a grade."""
    return EXIT_CODES[grade.partition(":")[0]]


def judge(referee: Judge, problem: Problem, value: np.ndarray, dtype: str) -> Judgement:
    """How the output `value` of a subject that works in `dtype` compares with the contract."""
    y = fractions(value)
    bounds = referee.error(problem, y)
    if bounds is None:
        return Judgement("unknown")
    low, high = bounds
    if high <= LIMIT * referee.floor(problem, dtype):
        return Judgement("passed", low, high, rounded=_rounded(referee, problem, value, y, dtype, high))
    attainable = referee.attainable(problem, dtype)
    if high <= LIMIT * attainable:
        return Judgement("passed", low, high)
    if low > LIMIT * attainable:
        return Judgement("failed", low, high, clear=low > LIMIT * MARGIN * attainable)
    return Judgement("unknown", low, high)


def ratio(referee: Judge, problem: Problem, judgement: Judgement, dtype: str) -> float:
    """The error in units of the attainable error."""
    if judgement.high == 0:
        return 0.0
    attainable = referee.attainable(problem, dtype)
    return _float(judgement.high / attainable) if attainable else math.inf


def worst_ratio(referee: Judge, judged: list[tuple[Problem, Judgement]], dtype: str) -> float:
    """The largest ratio of all; the attainable error is evaluated only where it can matter."""
    bounded = []
    for problem, judgement in judged:
        floor = referee.floor(problem, dtype)
        bounded.append((_float(judgement.high / floor) if floor else math.inf, problem, judgement))
    worst = 0.0
    for bound, problem, judgement in sorted(bounded, key=lambda item: -item[0]):
        if bound <= worst:
            break
        worst = max(worst, ratio(referee, problem, judgement, dtype))
    return worst


def matches(referee: Judge, problem: Problem, value: np.ndarray, variant: Variant, dtype: str) -> bool | None:
    """Whether an output is what `variant` gives, up to attainable error; None where the variant has no answer."""
    truth = referee.variant(problem, variant)
    if truth is None or truth.low.size != value.size:
        return None
    low, high = truth.distance(fractions(value).ravel())
    if high <= LIMIT * referee.floor(problem, dtype, variant):
        return True
    return low <= LIMIT * referee.attainable(problem, dtype, variant)


def rounding_driven(errors: list[tuple[Fraction, Fraction]]) -> bool:
    """Whether errors fall with the unit roundoff, from pairs (error in float32, error in float64).

    Where rounding rules, their quotient is near 2**29; where the method does, near 1.
    """
    quotients = [_float(single / double) if double else math.inf for single, double in errors if single or double]
    return bool(quotients) and median(quotients) >= ROUNDING and min(quotients) >= 2**10


def _rounded(referee: Judge, problem: Problem, value: np.ndarray, y: np.ndarray, dtype: str, error: Fraction) -> bool:
    if referee.contract.error is not None:
        return error == 0
    truth = referee.truth(problem)
    assert truth is not None
    return all(_nearest(v, f, truth, i, dtype) for i, (v, f) in enumerate(zip(value.ravel(), y.ravel(), strict=True)))


def _nearest(v: float, exactly: Fraction, truth: Truth, i: int, dtype: str) -> bool:
    """Whether no other float of `dtype` is nearer to the truth than `v`."""
    low, high = truth.low[i], truth.high[i]
    if low == high == exactly:
        return True
    kind = np.dtype(dtype).type
    if float(kind(v)) != v:
        return False
    below, above = (Fraction(float(np.nextafter(kind(v), kind(side)))) for side in (-np.inf, np.inf))
    return bool((below + exactly) / 2 <= low and high <= (exactly + above) / 2)


def _float(q: Fraction) -> float:
    try:
        return float(q)
    except OverflowError:
        return math.inf
