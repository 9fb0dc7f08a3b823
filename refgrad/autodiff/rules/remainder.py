"""What is left of a division by whole numbers: `remainder`, with the sign of the divisor, and `fmod`, of the dividend.

``y = a - n b`` with a whole number n, which is constant between the jumps: the derivatives are 1 and -n. At a jump the
floating ones are those of the side on which y is 0; on exact numbers there is none, and asking for it is a `Kink`.
"""

from __future__ import annotations

from refgrad.autodiff.core import Primitive, primal
from refgrad.autodiff.domains import case, nonzero, real
from refgrad.autodiff.primitive import elementwise
from refgrad.autodiff.rules.discrete import rint
from refgrad.autodiff.rules.elementwise import isnan, where
from refgrad.backend import of
from refgrad.typing import Array

__all__ = ["fmod", "remainder"]

_CASES = (case(real(2, 3), nonzero(2, 3)), case(real(3), nonzero(2, 1)), case(real(), nonzero()))


def _times(a: Array, b: Array, y: Array) -> Array:
    """The whole number n."""
    return rint((a - y) / b)


def _is_multiple(y: Array, a: Array, b: Array) -> Array:
    """a whole multiple of the divisor, where it jumps"""
    return y == 0


def _is_multiple_but_zero(y: Array, a: Array, b: Array) -> Array:
    """a whole multiple of the divisor, where it jumps; at 0 it is its first argument"""
    return (y == 0) & (a != 0)


def _hand_on(t: Array, y: Array) -> Array:
    """t, and NaN where there is no remainder."""
    return t if of(primal(y)).exact else t / where(isnan(y), y, 1)


remainder: Primitive = elementwise(
    "remainder",
    lambda xp, a, b: xp.remainder(a, b),
    d=[
        lambda t, y, a, b: _hand_on(t, y),
        lambda t, y, a, b: -(_hand_on(t, y) * _times(a, b, y)),
    ],
    kink=_is_multiple,
    source="np.remainder({0}, {1})",
    cases=_CASES,
)

fmod: Primitive = elementwise(
    "fmod",
    lambda xp, a, b: xp.fmod(a, b),
    d=[
        lambda t, y, a, b: _hand_on(t, y),
        lambda t, y, a, b: -(_hand_on(t, y) * _times(a, b, y)),
    ],
    kink=_is_multiple_but_zero,
    source="np.fmod({0}, {1})",
    cases=_CASES,
)
