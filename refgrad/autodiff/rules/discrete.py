"""Roundings, and operations on the bits of integers and booleans: piecewise constant, so without derivatives."""

from __future__ import annotations

import operator

from refgrad.autodiff.core import Primitive
from refgrad.autodiff.domains import case, mask, real

__all__ = ["bitwise", "ceil", "floor", "invert", "rint"]

_ROUNDED = (case(real(2, 3)), case(real()))

floor: Primitive = Primitive(
    "floor", lambda xp, x: xp.floor(x), jvp=None, vjp=None, source="np.floor({0})", cases=_ROUNDED
)

ceil: Primitive = Primitive("ceil", lambda xp, x: xp.ceil(x), jvp=None, vjp=None, source="np.ceil({0})", cases=_ROUNDED)

rint: Primitive = Primitive("rint", lambda xp, x: xp.rint(x), jvp=None, vjp=None, source="np.rint({0})", cases=_ROUNDED)

bitwise = {
    name: Primitive(
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

invert: Primitive = Primitive(
    "invert", operator.invert, jvp=None, vjp=None, source="~{0}", cases=(case(mask(2, 3)),), needs_table=False
)
