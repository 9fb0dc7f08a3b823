"""Inner products and norms of vectors on any array library."""

from __future__ import annotations

import math
from fractions import Fraction

from refgrad import exact
from refgrad.autodiff.trace import primal
from refgrad.backend import of
from refgrad.numpy import sum
from refgrad.typing import Array, Scalar

__all__ = ["all_finite", "inner", "norm", "relative_residual"]


def inner(x: Array, y: Array) -> Scalar:
    """``x . y``, summed over all elements."""
    return sum(x * y)


def norm(x: Array) -> float:
    """The Euclidean norm as a float, for reports and comparisons; 0.0 only if every element is exactly zero."""
    x = primal(x)
    xp = of(x)
    if xp.exact:
        return _root(exact.to_fractions(inner(x, x))) if xp.name == "rational" else float(xp.sqrt(inner(x, x)))
    largest = float(xp.amax(xp.abs(x), tuple(range(x.ndim)), False)) if x.size else 0.0
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = x / largest
    return largest * math.sqrt(float(inner(scaled, scaled)))


def _root(square: Fraction) -> float:
    """The square root of a rational as a float, never 0.0 for one that is not zero."""
    root = math.isqrt(square.numerator * square.denominator) / square.denominator if square else 0.0
    return root or (math.sqrt(square) if square else 0.0) or (math.ulp(0.0) if square else 0.0)


def relative_residual(ax: Array, b: Array) -> float:
    """``|ax - b| / |b|``, or ``|ax|`` where b is zero."""
    size = norm(b)
    return norm(primal(ax) - primal(b)) / size if size else norm(ax)


def all_finite(x: Array) -> bool:
    """Whether no element is infinite or NaN."""
    x = primal(x)
    finite = of(x).isfinite(x)
    return bool(finite.all()) if hasattr(finite, "all") else bool(finite)
