"""What is left of a division by whole numbers: `remainder`, with the sign of the divisor, and `fmod`, of the dividend.

``y = a - n b`` with a whole number n, which is constant between the jumps: the derivatives are 1 and -n. At a jump the
floating ones are those of the side on which y is 0; on exact numbers there is none, and asking for it is `Undecided`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.autodiff.core import Primitive, primal
from refgrad.autodiff.domains import case, nonzero, real
from refgrad.autodiff.primitive import elementwise
from refgrad.autodiff.rules.discrete import rint
from refgrad.autodiff.rules.elementwise import isnan, where
from refgrad.backend import of
from refgrad.errors import Undecided
from refgrad.typing import Array

__all__ = ["fmod", "remainder"]

_CASES = (case(real(2, 3), nonzero(2, 3)), case(real(3), nonzero(2, 1)), case(real(), nonzero()))


def _times(a: Array, b: Array, y: Array) -> Array:
    """The whole number n."""
    return rint((a - y) / b)


def _hand_on(name: str, t: Array, y: Array, jumps: Callable[[], Any]) -> Array:
    """t, off the jumps of exact numbers, and NaN where there is no remainder."""
    if not of(primal(y)).exact:
        return t / where(isnan(y), y, 1)
    if np.any(primal(jumps())):
        raise Undecided(
            f"{name}: a number is a whole multiple of the divisor, where the function jumps and has no derivative. "
            "Move the point, or take floats, for which refgrad.autodiff.conventions has one"
        )
    return t


def _of_remainder(t: Array, y: Array) -> Array:
    return _hand_on("remainder", t, y, lambda: y == 0)


def _of_fmod(t: Array, y: Array, a: Array) -> Array:
    return _hand_on("fmod", t, y, lambda: (y == 0) & (a != 0))  # at a = 0 it is a


remainder: Primitive = elementwise(
    "remainder",
    lambda xp, a, b: xp.remainder(a, b),
    d=[
        lambda t, y, a, b: _of_remainder(t, y),
        lambda t, y, a, b: -(_of_remainder(t, y) * _times(a, b, y)),
    ],
    source="np.remainder({0}, {1})",
    cases=_CASES,
)

fmod: Primitive = elementwise(
    "fmod",
    lambda xp, a, b: xp.fmod(a, b),
    d=[
        lambda t, y, a, b: _of_fmod(t, y, a),
        lambda t, y, a, b: -(_of_fmod(t, y, a) * _times(a, b, y)),
    ],
    source="np.fmod({0}, {1})",
    cases=_CASES,
)
