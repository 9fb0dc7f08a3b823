"""Roundings, and operations on the bits of integers and booleans: piecewise constant, so without derivatives."""

from __future__ import annotations

import operator
from collections.abc import Callable

from refgrad.autodiff.core import Binary, Primitive, Unary
from refgrad.autodiff.domains import case, mask, real
from refgrad.typing import Array

__all__ = ["bitwise", "ceil", "floor", "invert", "rint"]

_ROUNDED = (case(real(2, 3)), case(real()))


def _rounding(name: str, kink: Callable[..., Array]) -> Primitive:
    source = f"np.{name}({{0}})"
    return Unary(name, lambda xp, x: getattr(xp, name)(x), jvp=None, vjp=None, kink=kink, source=source, cases=_ROUNDED)


floor: Primitive = _rounding("floor", lambda y, x: x == y)
ceil: Primitive = _rounding("ceil", lambda y, x: x == y)
rint: Primitive = _rounding("rint", lambda y, x: 4 * (x - y) * (x - y) == 1)

bitwise = {
    name: Binary(
        f"bitwise_{name}",
        function,
        jvp=None,
        vjp=None,
        source=f"{{0}} {symbol} {{1}}",
        cases=(case(mask(2, 3), mask(3)), case(mask(), mask(2, 1))),
        needs_table=False,
    )
    for name, function, symbol in (("and", operator.and_, "&"), ("or", operator.or_, "|"), ("xor", operator.xor, "^"))
}

invert: Primitive = Unary(
    "invert", operator.invert, jvp=None, vjp=None, source="~{0}", cases=(case(mask(2, 3)),), needs_table=False
)
