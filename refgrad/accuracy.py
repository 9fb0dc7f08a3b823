"""How wrong a result may be: the attainable error, and the multiple of it that refgrad grants to sound code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TypeVar

from refgrad.errors import ShapeError

__all__ = ["LARGEST", "LIMIT", "SMALLEST", "UNIT_ROUNDOFF", "attainable"]

LIMIT = 30
"""Errors up to this many times the attainable one pass: LAPACK's own threshold; sound code stays below 5."""

UNIT_ROUNDOFF = {"float32": Fraction(1, 2**24), "float64": Fraction(1, 2**53)}
"""Half the distance from 1 to the next larger float: the largest relative error of one rounding."""

SMALLEST = {"float32": Fraction(1, 2**149), "float64": Fraction(1, 2**1074)}
"""The smallest positive float, a subnormal one: below the smallest normal float, errors are absolute."""

LARGEST = {name: (2 - 2 * unit) * 2**top for (name, unit), top in zip(UNIT_ROUNDOFF.items(), (127, 1023), strict=True)}
"""The largest finite float. An infinity stands for every number from here on."""

Real = TypeVar("Real", Fraction, float)


def attainable(
    value: Sequence[Real], near: Iterable[Sequence[Real]], unit: Real, size: Real, smallest: Real | int = 0
) -> Real:
    """``max |f(x') - f(x)| + u S + e``: the error that a backward-stable method may make in evaluating f at x.

    Parameters
    ----------
    value : sequence of Fraction or of float
        The numbers f(x).
    near : iterable of sequences
        The numbers f(x') for some x' that differ from x by a unit roundoff in each element.
    unit : number
        The unit roundoff u.
    size : number
        S, the sum of the absolute values of the terms that f adds up.
    smallest : number
        e, the smallest positive float, which is what underflow may cost.
    """
    responses = [0 * size]
    for there in near:
        if len(there) != len(value):
            raise ShapeError(f"attainable: f has {len(value)} numbers at x and {len(there)} next to it")
        responses += [abs(a - b) for a, b in zip(there, value, strict=True)]
    return max(responses) + unit * size + smallest
