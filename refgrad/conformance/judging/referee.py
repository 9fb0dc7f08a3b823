"""The referee: what is true of a problem, which error may be attained there, and how an output compares with both.

Everything here is rational or certified. A subject's output enters as the rational numbers that its floats are, so
that comparing it has no rounding at all. The error and the attainable error are absolute; their ratio r is at most 30
for a method that does what floats allow. A failure is *clear* beyond 50 times that line. No tolerance is guessed and
none is tuned.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from refgrad import accuracy, exact
from refgrad.accuracy import LIMIT, UNIT_ROUNDOFF
from refgrad.backend import of
from refgrad.conformance.judging.numbers import ExactFramework, FloatFramework, fractions, largest, quotient
from refgrad.contracts.contract import Contract, Problem
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.errors import Inconclusive, NotRational, SingularMatrix, Undecided
from refgrad.tree import flatten
from refgrad.typing import Array

__all__ = ["MARGIN", "Judgement", "Referee", "Truth"]

MARGIN, PATTERNS = 50, 6
MANY, OF_MANY = 64, 2
"""Of many numbers some are moved in any direction by fewer patterns; those of a few may all leave a determinant."""
DIVERGED = 1e30
"""Where steps have led so far, floats have lost what tells formulas apart."""
_UNKNOWN = (Inconclusive, SingularMatrix, Undecided, ZeroDivisionError)


@dataclass(frozen=True)
class Truth:
    """Certified bounds of an answer.

    Attributes
    ----------
    low, high : array of Fraction, raveled
    magnitude : Fraction
        The largest sum of absolute terms, S: the scale of one rounding.
    exact : bool
        Whether the bounds are equal because the answer is rational.
    """

    low: np.ndarray
    high: np.ndarray
    magnitude: Fraction
    exact: bool

    def distance(self, y: np.ndarray) -> tuple[Fraction, Fraction]:
        """Bounds of ``max_i |y_i - f_i|`` for an array y of Fractions."""
        return exact.distance(y, self.low, self.high)

    @property
    def middle(self) -> np.ndarray:
        """The midpoint of the bounds; the answer itself where it is rational."""
        return self.low if self.exact else (self.low + self.high) / 2


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


class Referee:
    """The truths of one contract for subjects that work in one dtype, each computed once per problem.

    Wherever a method takes a variant, that formula stands in the place of the contract's own.

    Parameters
    ----------
    contract : Contract
    dtype : str
        ``"float64"`` or ``"float32"``.
    seed : int
        Of the sign patterns.

    Attributes
    ----------
    slack : dict of str to Fraction
        By the key of a problem, what an output may be off beside rounding: that of a mean over random calls.
    """

    def __init__(self, contract: Contract, dtype: str = "float64", seed: int = 0) -> None:
        self.contract, self.dtype, self.seed = contract, dtype, seed
        self.unit = UNIT_ROUNDOFF[dtype]
        self._arguments: dict[tuple[str, int | None], tuple[Any, ...]] = {}
        self._truths: dict[tuple[str, str], Truth | None] = {}
        self._attainable: dict[tuple[str, str], Fraction] = {}
        self.slack: dict[str, Fraction] = {}
        self._steady: dict[str, bool] = {}
        self._screens = False
        self._rough: dict[tuple[str, str], np.ndarray | None] = {}
        self._of_floats: dict[str, tuple[Any, ...]] = {}
        self._near: dict[str, tuple[Any, ...]] = {}
        self._moved: dict[tuple[str, str], float] = {}

    @cached_property
    def loose(self) -> Referee:
        """The referee of the same problems at the tolerance of float32; what is true does not depend on it."""
        other = Referee(self.contract, "float32", self.seed)
        other._screens = True
        for shared in ("_truths", "_rough", "_of_floats", "_near", "_moved", "_steady"):
            setattr(other, shared, getattr(self, shared))
        return other

    def arguments(self, problem: Problem, pattern: int | None = None) -> tuple[Any, ...]:
        """The exact arguments of a problem; with a pattern, each number a unit roundoff away."""
        place = (problem.key, pattern)
        if place not in self._arguments:
            signs = None if pattern is None else random.Random(f"{self.seed}/{pattern}")
            self._arguments[place] = tuple(self.contract.arguments(problem.inputs, ExactFramework(self.unit, signs)))
        return self._arguments[place]

    def _floats(self, problem: Problem) -> tuple[Any, ...]:
        """The arguments of a problem in float64."""
        place = problem.key
        if place not in self._of_floats:
            self._of_floats[place] = tuple(self.contract.arguments(problem.inputs, FloatFramework()))
        return self._of_floats[place]

    def truth(self, problem: Problem, variant: Variant | None = None) -> Truth | None:
        """The answer; None where there is none, or where it cannot be enclosed tightly enough."""
        if variant is not None:
            return self._remember(problem, variant.name, variant.answer)
        return self._remember(problem, "", self.contract.quantity)

    def attainable(self, problem: Problem, variant: Variant | None = None) -> Fraction:
        """The error that a backward-stable method may make on a problem; see `refgrad.accuracy`.

        Of a contract that judges by an error of its own, the response is that of its unit.
        """
        place = (problem.key, variant.name if variant else "")
        if place not in self._attainable:
            self._attainable[place] = self._response(problem, variant)
        return self._attainable[place]

    def floor(self, problem: Problem, variant: Variant | None = None) -> Fraction:
        """``u * S``: a lower bound of `attainable` that costs nothing."""
        base = self._base(problem, variant)
        return self.unit * base.magnitude if base is not None else Fraction(0)

    def error(self, problem: Problem, y: np.ndarray) -> tuple[Fraction, Fraction] | None:
        """Bounds of how far the output `y`, an array of Fractions in the contract's shape, is from right."""
        if self.contract.error is None:
            truth = self.truth(problem)
            return truth.distance(y.ravel()) if truth is not None else None
        try:
            found = exact.evaluate(self.contract.error, self.arguments(problem), y)
        except _UNKNOWN:
            return None
        return (max(Fraction(0), found.low.item()), found.high.item())

    def judge(self, problem: Problem, value: np.ndarray) -> Judgement:
        """How the output `value` of a subject compares with the contract."""
        y = fractions(value)
        bounds = self.error(problem, y)
        if bounds is None:
            return Judgement("unknown")
        low, high = bounds
        slack = self.slack.get(problem.key, Fraction(0))
        if high <= LIMIT * self.floor(problem):
            return Judgement("passed", low, high, rounded=self._is_rounded(problem, value, y, high))
        line = LIMIT * self.attainable(problem)
        if high <= line + slack:
            return Judgement("passed", low, high)
        if low > line + slack:
            return Judgement("failed", low, high, clear=low > MARGIN * line + 2 * slack)
        return Judgement("unknown", low, high)

    def ratio(self, problem: Problem, judgement: Judgement) -> float:
        """The error in units of the attainable error."""
        if judgement.high == 0:
            return 0.0
        return quotient(judgement.high, self.attainable(problem))

    def row(self, problem: Problem, judgement: Judgement) -> dict[str, Any]:
        """Error and attainable error of a problem as floats; where it has not been needed, a lower bound of it."""
        attainable = self._attainable.get((problem.key, ""), self.floor(problem))
        error, bound = (quotient(number, Fraction(1)) for number in (judgement.high, attainable))
        return {"outcome": judgement.verdict, "error": error, "attainable": bound}

    def worst_ratio(self, judged: list[tuple[Problem, Judgement]]) -> float:
        """The largest ratio of all; the attainable error is evaluated only where it can matter."""
        bounded = [(quotient(judgement.high, self.floor(problem)), problem, judgement) for problem, judgement in judged]
        worst = 0.0
        for bound, problem, judgement in sorted(bounded, key=lambda item: -item[0]):
            if bound <= worst:
                break
            # one pattern bounds the attainable error from below, and mostly shows that a ratio is not the largest
            known = (problem.key, "") in self._attainable or not judgement.high
            if known or quotient(judgement.high, self._response(problem, None, 1)) > worst:
                worst = max(worst, self.ratio(problem, judgement))
        return worst

    def matches(self, problem: Problem, value: np.ndarray, variant: Variant) -> bool | None:
        """Whether an output is what `variant` gives, up to attainable error; None where the variant has no answer."""
        many = self._screens or variant not in self.contract.variants  # as products are
        if many and not self.plausible(problem, value, variant):
            return False
        truth = self.truth(problem, variant)
        if truth is None or truth.low.size != value.size:
            return None
        low, high = truth.distance(fractions(value).ravel())
        floor = self.floor(problem, variant)
        if high <= LIMIT * floor:
            return True
        slack = self.slack.get(problem.key, Fraction(0))
        most = 2**30 * (floor + accuracy.SMALLEST[self.dtype])  # no conditioning here is so bad, but in breakdowns
        if floor and low > most + slack and not self._as_in_floats(problem, value, variant):
            return False
        return low <= LIMIT * self.attainable(problem, variant) + slack

    def _as_in_floats(self, problem: Problem, value: np.ndarray, variant: Variant) -> bool:
        """Whether an output is what floats give, and so far from the truth only if nothing is to be told by that."""
        found = self.rough(problem, variant)
        return found is not None and _size(value.ravel() - found) <= 1e-6 * _size(found)

    def rough(self, problem: Problem, variant: Variant) -> np.ndarray | None:
        """A variant's answer in float64, which is cheap and not certified; None if it is not to be had like that."""
        plain = getattr(variant.answer, "plain", None)
        place = (problem.key, variant.name)
        if plain is not None and variant.name not in self._steady:
            self._steady[variant.name] = self._is_steady(problem, variant)
        if not self._steady.get(variant.name, False):
            return None
        if plain is not None and place not in self._rough:
            self._rough[place] = None
            with contextlib.suppress(Exception), np.errstate(all="ignore"):  # the exact evaluation says what is amiss
                found = np.asarray(plain(*self._floats(problem)), float).ravel()
                self._rough[place] = found if np.isfinite(found).all() else None
        return self._rough.get(place)

    def _is_steady(self, problem: Problem, variant: Variant) -> bool:
        """Whether a formula adds up no terms much larger than its answer, as a difference of gradients does."""
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            answer = variant.answer(*self._floats(problem))
            return _size(np.asarray(answer.magnitude)) * 2.0**-30 <= 1e-6 * _size(np.asarray(answer.value))
        return True

    def answers(self, problem: Problem, variant: Variant) -> bool:
        """Whether a variant has an answer to a problem."""
        return self.rough(problem, variant) is not None or self.truth(problem, variant) is not None

    def plausible(self, problem: Problem, value: np.ndarray, variant: Variant) -> bool:
        """Whether floats leave open that `variant` gives this output: much cheaper than the truth, and never sure.

        It is ruled out by what is far more than the rounding errors of any evaluation in float64.
        """
        found, y = self.rough(problem, variant), value.ravel()
        if found is None or found.size != y.size or _size(found, y) > DIVERGED:
            return True
        slack = 1e-3 * _size(found, y) + float(self.slack.get(problem.key, 0)) + 2**16 * float(self.floor(problem))
        return _size(y - found) <= slack or self._moves(problem, variant, found) > 1e-3 * _size(found)

    def _moves(self, problem: Problem, variant: Variant, found: np.ndarray) -> float:
        """How far the answer in floats moves if every input moves by 2^-30, as where steps diverge."""
        place = (problem.key, variant.name)
        if place not in self._moved:
            self._moved[place] = math.inf
            with contextlib.suppress(Exception), np.errstate(all="ignore"):
                if problem.key not in self._near:
                    self._near[problem.key] = tuple(self.contract.arguments(problem.inputs, FloatFramework(2.0**-30)))
                plain: Any = variant.answer.plain  # type: ignore[attr-defined]
                self._moved[place] = _size(np.asarray(plain(*self._near[problem.key]), float).ravel() - found)
        return self._moved[place]

    def apart(self, problem: Problem, variant: Variant) -> Fraction:
        """A lower bound of how far a variant's answer is from right; 0 where it has none that is known."""
        other = self.truth(problem, variant)
        if other is None:
            return Fraction(0)
        shape = self.contract.shape(problem.inputs)
        found = self.error(problem, np.array([*other.middle, None], object)[:-1].reshape(shape))
        slack = max((h - low for low, h in zip(other.low, other.high, strict=True)), default=Fraction(0))
        return max(Fraction(0), found[0] - slack) if found is not None else Fraction(0)

    def differs(self, problem: Problem, variant: Variant) -> bool:
        """Whether a variant's answer is wrong by more than 50 times the attainable error."""
        found, truth = self.rough(problem, variant), self.truth(problem)
        if self.contract.error is None and found is not None and truth is not None and found.size == truth.low.size:
            right = truth.middle.astype(float)
            gap, size = _size(found - right), _size(found, right)
            if gap > 0.01 * size and gap > 100 * MARGIN * float(self.attainable(problem)):
                return gap > 8 * float(self.slack.get(problem.key, 0))
            if gap <= 2.0**-53 * size:  # a formula in floats is within LIMIT attainable errors of its answer
                return False
        apart = self.apart(problem, variant) - 4 * self.slack.get(problem.key, Fraction(0))
        return apart > MARGIN * self.floor(problem) and apart > MARGIN * self.attainable(problem)

    def _unit(self, *arguments: Any) -> Answer:
        assert self.contract.unit is not None
        return self.contract.unit(arguments)

    def _base(self, problem: Problem, variant: Variant | None) -> Truth | None:
        if variant is None and self.contract.unit is not None:
            return self._remember(problem, " unit", self._unit)
        return self.truth(problem, variant)

    def _response(self, problem: Problem, variant: Variant | None, most: int = PATTERNS) -> Fraction:
        base = self._base(problem, variant)
        if base is None:
            return Fraction(0)
        own = self.contract.quantity if self.contract.unit is None else self._unit
        function = own if variant is None else variant.answer
        wide = problem.kind == "wide"
        function = getattr(function, "plain", function)
        patterns = range(OF_MANY if wide and len(flatten(problem.inputs)[0]) > MANY else PATTERNS)
        near = (_evaluate(function, self.arguments(problem, pattern), wide) for pattern in patterns[:most])
        middles = [there.middle.tolist() for there in near if there is not None]
        smallest = accuracy.SMALLEST[self.dtype]
        found = accuracy.attainable(base.middle.tolist(), middles, self.unit, base.magnitude, smallest)
        # where every term is zero, two roundings of a number of the size of the inputs are no error
        return found if base.magnitude else max(found, self.unit**2 * largest(problem.inputs))

    def _remember(self, problem: Problem, name: str, function: Callable[..., Answer]) -> Truth | None:
        place = (problem.key, name)
        if place not in self._truths:
            self._truths[place] = _evaluate(function, self.arguments(problem), problem.kind == "wide")
        return self._truths[place]

    def _is_rounded(self, problem: Problem, value: np.ndarray, y: np.ndarray, error: Fraction) -> bool:
        if self.contract.error is not None:
            return error == 0
        truth = self.truth(problem)
        assert truth is not None
        every = zip(value.ravel(), y.ravel(), truth.low, truth.high, strict=True)
        return all(_nearest(v, exactly, low, high, self.dtype) for v, exactly, low, high in every)


def _evaluate(function: Callable[..., Answer | Array], arguments: tuple[Any, ...], wide: bool = False) -> Truth | None:
    """The bounds of an answer; None where it has none. Those of wide problems come from balls at once."""

    def together(*given: Any) -> Array:
        if wide and any(isinstance(leaf, exact.ExactArray) for leaf in flatten(given)[0]):
            raise NotRational("rational numbers of a wide problem grow without bound")
        # one array, so that the precision asked for is relative to the magnitude: a true zero is no difficulty
        answer = function(*given)
        parts = (answer.value, answer.magnitude) if isinstance(answer, Answer) else (answer, answer)
        xp = of(*parts)
        return xp.concat([xp.reshape(x, (-1,)) for x in parts], 0)

    try:
        found = exact.evaluate(together, *arguments)
    except (*_UNKNOWN, NotApplicable):
        return None
    if math.inf in found.high or -math.inf in found.low:  # beyond every float, and what is right there is not known
        return None
    size = len(found.low) // 2
    low, high = found.low[:size], found.high[:size]
    # no sum of terms is smaller than what they add up to; floats, which the terms are taken in, may have lost it
    magnitude = max((*found.high[size:], *map(abs, low), *map(abs, high)), default=Fraction(0))
    return Truth(low, high, magnitude, found.exact)


def _nearest(v: float, exactly: Fraction, low: Fraction, high: Fraction, dtype: str) -> bool:
    """Whether no other float of `dtype` is nearer to a truth between `low` and `high` than `v`."""
    if low == high == exactly:
        return True
    kind = np.dtype(dtype).type
    with np.errstate(over="ignore"):
        if float(kind(v)) != v:
            return False
    below, above = (Fraction(float(np.nextafter(kind(v), kind(side)))) for side in (-np.inf, np.inf))
    return bool((below + exactly) / 2 <= low and high <= (exactly + above) / 2)


def _size(*arrays: np.ndarray) -> float:
    """The largest absolute value."""
    return max((float(np.max(np.abs(a), initial=0.0)) for a in arrays), default=0.0)
