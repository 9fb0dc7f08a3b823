"""Inner products and norms of vectors on any array library.

`norm`, `relative_residual` and `all_finite` are numbers about the plain values, for certificates: they have no
derivative, and in a program that `refgrad.stage` records they are those of the recording.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from refgrad import exact
from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import Undecided
from refgrad.numpy import sum
from refgrad.typing import Array, Scalar

__all__ = ["all_finite", "inner", "norm", "relative_residual"]


def inner(x: Array, y: Array) -> Scalar:
    """``x . y``, summed over all elements, shape ().

    Parameters
    ----------
    x, y : array, shape (n,)
    """
    return sum(x * y)


def norm(x: Array) -> float:
    """The Euclidean norm as a float, for reports and comparisons; 0.0 only if every element is exactly zero.

    Of balls it is an upper bound.

    Parameters
    ----------
    x : array
        Of any shape.
    """
    x = primal(x)
    xp = of(x)
    if xp.exact:
        return _root(exact.bounds(inner(x, x))[1].item())
    largest = float(xp.amax(xp.abs(x), tuple(range(x.ndim)), False)) if x.size else 0.0
    if largest == 0.0 or not math.isfinite(largest):
        return largest
    scaled = x / largest
    return largest * math.sqrt(float(inner(scaled, scaled)))


def _root(square: Fraction) -> float:
    """The square root of a rational, to all digits of a float and beyond its range of squares."""
    if not square or square == math.inf:
        return float(square)
    excess = square.numerator.bit_length() - square.denominator.bit_length()
    shift = 2 * max(0, 64 - excess // 2)  # so that the integer root below has at least 63 bits
    root = math.isqrt((square.numerator << shift) // square.denominator)
    return float(Fraction(root, 1 << shift // 2)) or math.ulp(0.0)


def relative_residual(ax: Array, b: Array) -> float:
    """``|ax - b| / |b|``, or ``|ax|`` where b is zero.

    Parameters
    ----------
    ax, b : array, shape (n,)
    """
    size = norm(b)
    return norm(primal(ax) - primal(b)) / size if size else norm(ax)


def all_finite(x: Array) -> bool:
    """Whether no element is infinite or NaN.

    Parameters
    ----------
    x : array

    Raises
    ------
    Undecided
        If a ball is not bounded.
    """
    x = primal(x)
    if type(x) is np.ndarray and x.dtype.char in "fd" and math.isfinite(np.vdot(x, x)):
        return True  # in half the time of asking each
    finite = of(x).isfinite(x)
    known = bool(finite.all()) if hasattr(finite, "all") else bool(finite)
    if not known and of(x).name == "ball":
        raise Undecided("a ball is unbounded at this precision: whether its number is finite is not known")
    return known
