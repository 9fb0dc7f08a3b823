"""The numbers of problems and outputs as the referee takes them: rational, or float64 where certainty is not needed."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import exact
from refgrad.contracts.tools.losses import EXACT_TABLE
from refgrad.typing import Array

__all__ = ["ExactFramework", "FloatFramework", "fractions", "largest", "quotient"]


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
        return exact.asarray(self._perturb(values))

    def labels(self, values: Any) -> np.ndarray:
        return np.array(values, np.int64)

    def scalar(self, value: float) -> Array:
        return exact.asarray(self._perturb(value))

    def _perturb(self, values: Any) -> Any:
        if isinstance(values, (list, tuple)):
            return [self._perturb(v) for v in values]
        if self.signs is None:
            return values
        return Fraction(values) * (1 + self.signs.choice((-1, 1)) * self.relative)


class FloatFramework:
    """The numbers of a problem as float64 arrays, for formulas in plain arithmetic; or each `relative` away."""

    xp: Any = EXACT_TABLE

    def __init__(self, relative: float = 0.0) -> None:
        self.relative, self.rng = relative, np.random.default_rng(0)

    def array(self, values: Any) -> np.ndarray:
        x = np.array(values, float)
        return x * (1 + self.relative * self.rng.choice((-1.0, 1.0), x.shape)) if self.relative else x

    def labels(self, values: Any) -> np.ndarray:
        return np.array(values, np.int64)

    def scalar(self, value: float) -> np.ndarray:
        return np.array(value, float)


def largest(values: Any) -> Fraction:
    """The largest absolute value among nested lists and dicts of numbers."""
    if isinstance(values, Mapping):
        values = list(values.values())
    if isinstance(values, (list, tuple)):
        return max((largest(v) for v in values), default=Fraction(0))
    return abs(Fraction(values)) if isinstance(values, (int, float)) and math.isfinite(values) else Fraction(0)


def quotient(error: Fraction, unit: Fraction) -> float:
    """``error / unit``; infinity beyond the range of floats."""
    try:
        return float(error / unit)
    except (OverflowError, ZeroDivisionError):
        return math.inf


def fractions(y: np.ndarray) -> np.ndarray:
    """The floats of `y` as the Fractions that they are, in its shape."""
    flat = [Fraction(float(v)) for v in y.ravel()]
    return np.array([*flat, None], object)[:-1].reshape(y.shape)
