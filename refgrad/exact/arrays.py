"""Exact arrays and balls from numbers, and fractions and bounds from them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.rationals import RATIONAL, RATIONALS, ExactArray
from refgrad.typing import Array

__all__ = ["asarray", "balls", "bounds", "precision", "to_fractions"]


def asarray(x: Any) -> ExactArray:
    """`x` as an array of rational numbers.

    Parameters
    ----------
    x : array, number, str or nested sequence of them
        A string is read as a fraction or decimal, ``"1/3"`` or ``"0.1"``; a float means its exact binary value.

    Raises
    ------
    InvalidInput
        If a number is infinite or not a number.
    """
    return RATIONAL.asarray(x)  # type: ignore[no-any-return]


def balls(x: Any) -> Array:
    """`x` as an array of balls that contain it, at the precision in force; see `precision`.

    Parameters
    ----------
    x : array, number, str or nested sequence of them
        Floats, and exact numbers, at their exact values.
    """
    from refgrad.backend.exact.balls import BALL

    return BALL.asarray(x)


def precision(bits: int) -> AbstractContextManager[None]:
    """A ``with`` block inside which balls are computed with `bits` bits.

    Parameters
    ----------
    bits : int
    """
    from refgrad.backend.exact.balls import precision

    return precision(bits)


def to_fractions(x: Any) -> Any:
    """The elements of `x` as `fractions.Fraction`: one for shape (), else an object array of them.

    Parameters
    ----------
    x : array, number, str or nested sequence of them
        As for `asarray`.
    """
    data = asarray(x).data
    result = np.frompyfunc(RATIONALS.fraction, 1, 1)(data)
    return result if isinstance(result, np.ndarray) and result.shape else RATIONALS.fraction(data.item())


def bounds(x: Array) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the elements of an exact array or of balls, as object arrays of Fractions.

    Of balls beyond 2^8192 the outer bound is an infinity, a float: to write the number out would take any memory. A
    number nearer to 0 than 2^-8192 has the bounds 0 and that.

    Parameters
    ----------
    x : array
        Of exact numbers or balls.
    """
    if isinstance(x, ExactArray) or not isinstance(x, ElementArray):
        values = np.asarray(to_fractions(x), object)
        return values, values
    from refgrad.backend.exact.balls import BALLS

    pairs = [BALLS.bounds(element) for element in x.data.ravel()]
    low, high = (np.array([p[i] for p in pairs] + [None], object)[:-1].reshape(x.shape) for i in (0, 1))
    return low, high
