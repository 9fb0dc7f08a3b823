"""Elementwise primitives: arithmetic, powers, smooth functions, and choices between values.

Each carries one linear map per argument, ``t * dy/dx``, which is its tangent and its cotangent rule alike.
What they do at kinks, at the ends of domains and at NaN is listed in `refgrad.autodiff.conventions`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from numpy import ndarray

from refgrad.autodiff.core import Binary, Primitive, Unary, primal
from refgrad.autodiff.domains import beyond, case, mask, nonzero, positive, real
from refgrad.autodiff.primitive import elementwise
from refgrad.backend import NUMPY, of, shape_of
from refgrad.typing import Array

__all__ = [
    "abs_", "add", "astype", "comparisons", "cos", "div", "exp", "expm1", "isfinite", "isnan", "join", "log", "log1p",
    "logistic", "maximum", "minimum", "mul", "neg", "pow_int", "pow_real", "relu", "sech_squared", "sign",
    "sin", "softplus", "sqrt", "stop_gradient", "sub", "tanh", "weigh", "where",
]  # fmt: skip

_PAIRS = (
    case(real(2, 3), real(2, 3)),
    case(real(2, 3), real(3)),
    case(real(), real(2, 1)),
    case(real(2, 1), real(1, 3)),
)
_QUOTIENTS = (case(real(2, 3), nonzero(2, 3)), case(real(3), nonzero(2, 1)), case(real(), nonzero()))
_SINGLE = (case(real(2, 3)), case(real()))

add: Primitive = elementwise(
    "add",
    operator.add,
    d=[lambda t, y, a, b: t, lambda t, y, a, b: t],
    source="{0} + {1}",
    cases=_PAIRS,
    needs_table=False,
)

sub: Primitive = elementwise(
    "sub",
    operator.sub,
    d=[lambda t, y, a, b: t, lambda t, y, a, b: -t],
    source="{0} - {1}",
    cases=_PAIRS,
    needs_table=False,
)

mul: Primitive = elementwise(
    "mul",
    operator.mul,
    d=[lambda t, y, a, b: t * b, lambda t, y, a, b: t * a],
    source="{0} * {1}",
    cases=_PAIRS,
    needs_table=False,
)

div: Primitive = elementwise(
    "div",
    operator.truediv,
    # t / b and not t * (1 / b): with integers 1 / b would leave the rationals
    d=[lambda t, y, a, b: t / b, lambda t, y, a, b: -(t * y) / b],
    source="{0} / {1}",
    cases=_QUOTIENTS,
    needs_table=False,
)

weigh: Primitive = elementwise(
    "weigh",
    lambda xp, a, b: xp.weigh(a, b),
    d=[lambda t, y, a, b: weigh(t, b), lambda t, y, a, b: weigh(t, a)],
    source="weigh({0}, {1})",
    cases=_PAIRS,
)

neg: Primitive = elementwise(
    "neg", operator.neg, d=[lambda t, y, x: -t], source="-{0}", cases=_SINGLE, needs_table=False
)


def _power_rule(t: Array, y: Array, x: Array, n: int) -> Array:
    if n == 0:
        return None
    return t if n == 1 else t * (n * pow_int(x, n=n - 1))


pow_int: Primitive = elementwise(
    "pow_int",
    lambda x, n: x**n,
    d=[_power_rule],
    source="{0} ** {n}",
    cases=(case(real(2, 3), n=3), case(real(3), n=2), case(nonzero(3), n=-2), case(real(2), n=0), case(real(), n=1)),
    needs_table=False,
)


def _by_base(t: Array, y: Array, a: Array, b: Array) -> Array:
    less = b - 1
    if not of(primal(y)).exact:  # 0 ** b at b = 0 is 1, in a direction of a at least
        less = where(b == 0, where(a == 0, 1, less), less)
    return t * (b * pow_real(a, less))


def _by_exponent(t: Array, y: Array, a: Array, b: Array) -> Array:
    if of(primal(y)).exact:  # the sign of a ball may be unknown, and has no say where a is not 0
        return t * (log(a) * y)
    # 0 ** b is 0 for all b > 0, so its derivative by b is 0 there; at b = 0 it is -inf
    return t * (log(where(a == 0, where(b > 0, 1, a), a)) * y)


pow_real: Primitive = elementwise(
    "pow_real",
    operator.pow,
    d=[
        _by_base,
        _by_exponent,
    ],
    source="{0} ** {1}",
    cases=(case(positive(2, 3), real(2, 3)), case(positive(3), real()), case(positive(2, 1), real(3))),
    needs_table=False,
)

exp: Primitive = elementwise(
    "exp", lambda xp, x: xp.exp(x), d=[lambda t, y, x: t * y], source="np.exp({0})", cases=_SINGLE
)

log: Primitive = elementwise(
    "log",
    lambda xp, x: xp.log(x),
    d=[lambda t, y, x: t / x],
    kink=lambda y, x: x <= 0,  # where 1 / x is a number, but no derivative
    source="np.log({0})",
    cases=(case(positive(2, 3)),),
)

tanh: Primitive = elementwise(
    "tanh",
    lambda xp, x: xp.tanh(x),
    # of plain arrays, as nearly always, without the way through the primitive, which costs as much as a small product
    d=[lambda t, y, x: t * (NUMPY.sech_squared(x, y) if type(x) is ndarray else sech_squared(x, y))],
    source="np.tanh({0})",
    cases=_SINGLE,
)


def _slope_of_sech_squared(t: Array, y: Array, x: Array, h: Array) -> Array:
    slope = -2 * ((h if shape_of(h) else tanh(x)) * y)
    # a gate that is shut lets no infinity through; to see to that is dear, and tanh, of which h is known, is no gate
    return t * slope if shape_of(h) else weigh(slope, t)


sech_squared: Primitive = elementwise(
    "sech_squared",
    lambda xp, x, h: xp.sech_squared(x, h),
    d=[_slope_of_sech_squared, None],
    source="sech_squared({0}, {1})",
    cases=(case(real(2, 3), beyond()), case(real(), beyond())),
)
"""``1 / cosh(x)^2``, for h = tanh(x) by 1 - h^2 as long as that has digits left; h may also be a number beyond 1."""

sqrt: Primitive = elementwise(
    "sqrt", lambda xp, x: xp.sqrt(x), d=[lambda t, y, x: t / (2 * y)], source="np.sqrt({0})", cases=(case(positive(3)),)
)

sin: Primitive = elementwise(
    "sin", lambda xp, x: xp.sin(x), d=[lambda t, y, x: t * cos(x)], source="np.sin({0})", cases=_SINGLE
)

cos: Primitive = elementwise(
    "cos", lambda xp, x: xp.cos(x), d=[lambda t, y, x: -(t * sin(x))], source="np.cos({0})", cases=_SINGLE
)

expm1: Primitive = elementwise(
    "expm1",
    lambda xp, x: xp.expm1(x),
    # not t * (y + 1), which for large negative x is the difference of nearly equal numbers
    d=[lambda t, y, x: t * exp(x)],
    source="np.expm1({0})",
    cases=_SINGLE,
)

log1p: Primitive = elementwise(
    "log1p",
    lambda xp, x: xp.log1p(x),
    d=[lambda t, y, x: t / (1 + x)],
    kink=lambda y, x: x <= -1,
    source="np.log1p({0})",
    cases=(case(positive(2, 3)),),
)

logistic: Primitive = elementwise(
    "logistic",
    lambda xp, x: xp.logistic(x),
    # not y * logistic(-x), whose own derivative near 0 is the difference of nearly equal numbers
    d=[lambda t, y, x: weigh(sech_squared(x / 2, 1) / 4, t)],
    source="logistic({0})",
    cases=_SINGLE,
)

softplus: Primitive = elementwise(
    "softplus", lambda xp, x: xp.softplus(x), d=[lambda t, y, x: t * logistic(x)], source="softplus({0})", cases=_SINGLE
)


def _times_sign(t: Array, x: Array) -> Array:
    zero = x == 0
    return where(zero, 0, t * where(zero, 1, sign(x)))


abs_: Primitive = elementwise(
    "abs",
    lambda xp, x: xp.abs(x),
    d=[lambda t, y, x: _times_sign(t, x)],
    kink=lambda y, x: x == 0,
    source="np.abs({0})",
    cases=(case(nonzero(2, 3)),),
)

relu: Primitive = elementwise(
    "relu",
    lambda xp, x: xp.maximum(x, 0),
    # t / NaN where x is NaN, so that the gradient is NaN too
    d=[lambda t, y, x: where(x <= 0, 0, t / where(isnan(x), x, 1))],
    kink=lambda y, x: x == 0,
    source="np.maximum({0}, 0)",
    cases=(case(nonzero(2, 3)),),
)

where: Primitive = elementwise(
    "where",
    lambda xp, c, a, b: xp.where(c, a, b),
    # the branch not taken gets 0 by choice, not by a product: 0 * inf would be NaN
    d=[None, lambda t, y, c, a, b: where(c, t, 0), lambda t, y, c, a, b: t if _holds_nowhere(c) else where(c, 0, t)],
    source="np.where({0}, {1}, {2})",
    cases=(case(mask(2, 3), real(2, 3), real(2, 3)), case(mask(2, 1), real(3), real())),
)


def _holds_nowhere(c: Array) -> bool:
    """Whether a known mask is False everywhere, as one of exceptions mostly is: a batch then passes as it is."""
    return type(c) is ndarray and not c.any()


def _larger(t: Array, y: Array, a: Array, b: Array) -> Array:
    # what is neither larger nor smaller is equal, or y is NaN
    return where(a > b, t, where(a < b, 0, t / where(isnan(y), y, 2)))


maximum: Primitive = elementwise(
    "maximum",
    lambda xp, a, b: xp.maximum(a, b),
    d=[lambda t, y, a, b: _larger(t, y, a, b), lambda t, y, a, b: _larger(t, y, b, a)],
    kink=lambda y, a, b: a == b,
    source="np.maximum({0}, {1})",
    cases=_PAIRS,
)

minimum: Primitive = elementwise(
    "minimum",
    lambda xp, a, b: xp.minimum(a, b),
    d=[lambda t, y, a, b: _larger(t, y, b, a), lambda t, y, a, b: _larger(t, y, a, b)],
    kink=lambda y, a, b: a == b,
    source="np.minimum({0}, {1})",
    cases=_PAIRS,
)


astype: Primitive = Unary(
    "astype",
    lambda xp, x, dtype: xp.astype(x, dtype),
    jvp=lambda y, xs, ts, dtype: astype(ts[0], dtype=dtype),
    vjp=lambda i, g, y, x, dtype: astype(g, dtype=getattr(x, "dtype", "float64")),
    source="{0}.astype({dtype!r})",
    cases=(case(real(2, 3), dtype="float32"), case(real(2), dtype="float64")),
)

comparisons = {
    name: Binary(
        name,
        getattr(operator, name),
        jvp=None,
        vjp=None,
        source=f"{{0}} {symbol} {{1}}",
        cases=_PAIRS,
        needs_table=False,
    )
    for name, symbol in {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}.items()
}

stop_gradient: Primitive = Unary(
    "stop_gradient", lambda x: x, jvp=None, vjp=None, source="{0}", cases=_SINGLE, needs_table=False
)

sign: Primitive = Unary(
    "sign",
    lambda xp, x: xp.sign(x),
    jvp=None,
    vjp=None,
    kink=lambda y, x: x == 0,
    source="np.sign({0})",
    cases=_SINGLE,
)


def join(y: Array, apart: Callable[[], Array]) -> Array:
    """`y`, which `where` has put together, with a kink for exact numbers wherever `apart`, asked of them only, is 0."""
    return y + 0 * abs_(apart()) if of(primal(y)).exact else y


isfinite: Primitive = Unary(
    "isfinite", lambda xp, x: xp.isfinite(x), jvp=None, vjp=None, source="np.isfinite({0})", cases=_SINGLE
)

isnan: Primitive = Unary("isnan", lambda xp, x: xp.isnan(x), jvp=None, vjp=None, source="np.isnan({0})", cases=_SINGLE)
