"""What is true of a problem: the contract's answer, its variants' answers, and the error that may be attained.

Everything here is rational or certified. A subject's output enters as the rational numbers that its floats are, so
that comparing it has no rounding at all.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import exact
from refgrad.backend import of
from refgrad.contracts.contract import Contract, Problem
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.losses import EXACT_TABLE
from refgrad.errors import Inconclusive, SingularMatrix, Undecided
from refgrad.exact import UNIT_ROUNDOFF
from refgrad.typing import Array

__all__ = ["UNIT_ROUNDOFF", "ExactFramework", "Judge", "Truth", "fractions", "key"]

PATTERNS = 6
_UNKNOWN = (Inconclusive, SingularMatrix, Undecided, ZeroDivisionError)


class ExactFramework:
    """The numbers of a problem as rational arrays, each multiplied by ``1 + s * relative`` with random signs s.

    Parameters
    ----------
    relative : Fraction
        0 for the problem itself.
    signs : random.Random or None
        Where the signs come from.
    """

    xp: Any = EXACT_TABLE

    def __init__(self, relative: Fraction = Fraction(0), signs: random.Random | None = None) -> None:
        self.relative, self.signs = relative, signs

    def array(self, values: Any) -> Array:
        return exact.asarray(self._moved(values))

    def labels(self, values: Any) -> np.ndarray:
        return np.array(values, np.int64)

    def scalar(self, value: float) -> Array:
        return exact.asarray(self._moved(value))

    def _moved(self, values: Any) -> Any:
        if isinstance(values, (list, tuple)):
            return [self._moved(v) for v in values]
        if self.signs is None:
            return values
        return Fraction(values) * (1 + self.signs.choice((-1, 1)) * self.relative)


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


class Judge:
    """The truths of one contract, computed once per problem.

    Parameters
    ----------
    contract : Contract
    seed : int
        Of the sign patterns.
    """

    def __init__(self, contract: Contract, seed: int = 0) -> None:
        self.contract, self.seed = contract, seed
        self._truths: dict[tuple[str, str], Truth | None] = {}
        self._attainable: dict[tuple[str, str, str], Fraction] = {}

    def truth(self, problem: Problem) -> Truth | None:
        """The contract's answer; None where it cannot be enclosed tightly enough."""
        return self._cached(problem, "", self.contract.oracle)

    def variant(self, problem: Problem, variant: Variant) -> Truth | None:
        """A variant's answer; None where it has none."""
        return self._cached(problem, variant.name, variant.answer)

    def attainable(self, problem: Problem, dtype: str, variant: Variant | None = None) -> Fraction:
        """The error that a backward-stable method may make on `problem` in `dtype`.

        The largest of six responses ``|f(x (1 + s u)) - f(x)|`` to random signs s, plus ``u * S``. With a variant,
        f is the variant's formula; with a contract that judges by an error of its own, f is its unit.
        """
        name = variant.name if variant else ""
        place = (key(problem), name, dtype)
        if place not in self._attainable:
            self._attainable[place] = self._response(problem, dtype, variant)
        return self._attainable[place]

    def floor(self, problem: Problem, dtype: str, variant: Variant | None = None) -> Fraction:
        """``u * S``: a lower bound of `attainable` that costs nothing."""
        base = self._base(problem, variant)
        return UNIT_ROUNDOFF[dtype] * base.magnitude if base is not None else Fraction(0)

    def error(self, problem: Problem, y: np.ndarray) -> tuple[Fraction, Fraction] | None:
        """Bounds of how far the output `y`, an array of Fractions in the contract's shape, is from right."""
        if self.contract.error is None:
            truth = self.truth(problem)
            return truth.distance(y.ravel()) if truth is not None else None
        arguments = self.contract.arguments(problem.inputs, ExactFramework())
        try:
            found = exact.run(self.contract.error, arguments, y)
        except _UNKNOWN:
            return None
        return (max(Fraction(0), found.low.item()), found.high.item())

    def apart(self, problem: Problem, variant: Variant) -> Fraction:
        """A lower bound of how far a variant's answer is from right; 0 where it has none that is known."""
        other = self.variant(problem, variant)
        if other is None:
            return Fraction(0)
        shape = self.contract.shape(problem.inputs)
        found = self.error(problem, np.array([*other.middle, None], object)[:-1].reshape(shape))
        slack = max((h - low for low, h in zip(other.low, other.high, strict=True)), default=Fraction(0))
        return max(Fraction(0), found[0] - slack) if found is not None else Fraction(0)

    def _base(self, problem: Problem, variant: Variant | None) -> Truth | None:
        if variant is not None:
            return self.variant(problem, variant)
        if self.contract.unit is None:
            return self.truth(problem)
        return self._cached(problem, " unit", lambda *arguments: self.contract.unit(arguments))  # type: ignore[misc]

    def _response(self, problem: Problem, dtype: str, variant: Variant | None) -> Fraction:
        unit = UNIT_ROUNDOFF[dtype]
        base = self._base(problem, variant)
        if base is None:
            return Fraction(0)
        if variant is not None:
            function: Callable[..., Answer] = variant.answer
        elif self.contract.unit is not None:
            function = lambda *arguments: self.contract.unit(arguments)  # type: ignore[misc]  # noqa: E731
        else:
            function = self.contract.oracle
        largest = Fraction(0)
        for pattern in range(PATTERNS):
            signs = random.Random(f"{self.seed}/{pattern}")
            moved = self._evaluate(problem, function, ExactFramework(unit, signs))
            if moved is not None:
                largest = max([largest, *(abs(a - b) for a, b in zip(moved.middle, base.middle, strict=True))])
        return largest + unit * base.magnitude

    def _cached(self, problem: Problem, name: str, function: Callable[..., Answer]) -> Truth | None:
        place = (key(problem), name)
        if place not in self._truths:
            self._truths[place] = self._evaluate(problem, function, ExactFramework())
        return self._truths[place]

    def _evaluate(self, problem: Problem, function: Callable[..., Answer], framework: ExactFramework) -> Truth | None:
        arguments = self.contract.arguments(problem.inputs, framework)

        def together(*given: Any) -> Array:
            # one array, so that the precision asked for is relative to the magnitude: a true zero is no difficulty
            answer = function(*given)
            xp = of(answer.value)
            return xp.concat([xp.reshape(x, (-1,)) for x in (answer.value, answer.magnitude)], 0)

        try:
            found = exact.run(together, *arguments)
        except (*_UNKNOWN, NotApplicable):
            return None
        size = len(found.low) // 2
        return Truth(found.low[:size], found.high[:size], max(found.high[size:], default=Fraction(0)), found.exact)


def key(problem: Problem) -> str:
    """A string that is equal for problems with equal inputs."""
    return json.dumps(problem.inputs, sort_keys=True)


def fractions(y: np.ndarray) -> np.ndarray:
    """The floats of `y` as the Fractions that they are, in its shape."""
    flat = [Fraction(float(v)) for v in y.ravel()]
    return np.array([*flat, None], object)[:-1].reshape(y.shape)
