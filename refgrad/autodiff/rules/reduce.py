"""Reductions: sum, the largest element, and log-sum-exp.

`axis` is a tuple of non-negative integers. What the derivatives are where largest elements are equal, infinite or NaN
is listed in `refgrad.autodiff.conventions`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.autodiff.core import PRIMITIVES, Batching, Primitive, Unary, primal
from refgrad.autodiff.domains import case, real
from refgrad.autodiff.primitive import keepdims_shape, ones_like, spread_to
from refgrad.autodiff.rules.elementwise import exp, isfinite, isnan, where
from refgrad.autodiff.rules.shape import reshape
from refgrad.backend import of, shape_of
from refgrad.typing import Array

__all__ = ["amax", "argmax", "logsumexp", "sum_"]

_CASES = (
    case(real(2, 3), axis=(0,), keepdims=False),
    case(real(2, 3), axis=(1,), keepdims=True),
    case(real(2, 3, 2), axis=(0, 2), keepdims=False),
    case(real(3), axis=(0,), keepdims=False),
)


def _spread(g: Array, x: Array, axis: tuple[int, ...]) -> Array:
    """`g`, one value per reduced block, at the rank of `x`, so that it broadcasts against `x`."""
    if shape_of(g) == ():
        return g
    shape = keepdims_shape(shape_of(x), axis)
    return g if shape_of(g) == shape else reshape(g, shape=shape)


def _batch_rule(name: str) -> Batching:
    """The batching rule of a reduction: its axes are one further on."""

    def batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
        axis = params["axis"]
        further = tuple(a + 1 for a in axis) if isinstance(axis, tuple) else axis + 1
        return PRIMITIVES[name](args[0], **(params | {"axis": further}))

    return batch


sum_: Primitive = Unary(
    "sum",
    lambda xp, x, axis, keepdims: xp.sum(x, axis, keepdims),
    jvp=lambda y, xs, ts, axis, keepdims: sum_.apply(ts[0], axis=axis, keepdims=keepdims),
    vjp=lambda i, g, y, x, axis, keepdims: spread_to(_spread(g, x, axis), shape_of(x)),
    batch=_batch_rule("sum"),
    source="np.sum({0}, axis={axis}, keepdims={keepdims})",
    cases=(*_CASES, case(real(), axis=(), keepdims=False), case(real(2, 3), axis=(), keepdims=False)),
)


def _argmax_weights(y: Array, x: Array, axis: tuple[int, ...]) -> tuple[Any, Array, Array]:
    """Where `x` attains its maximum `y`, how many times it does, and the derivative elsewhere: 0, or NaN like `y`."""
    y = _spread(y, x, axis)
    hits, elsewhere = x == y, where(isnan(y), y, 0)
    return hits, sum_(where(hits, ones_like(x), elsewhere), axis=axis, keepdims=True), elsewhere


def _ties(y: Array, x: Array, axis: tuple[int, ...]) -> Array:
    """Where the largest element `y` occurs more than once."""
    return sum_(x == _spread(y, x, axis), axis=axis, keepdims=True) > 1


def _amax_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], axis: tuple[int, ...], keepdims: bool) -> Array:
    hits, count, elsewhere = _argmax_weights(y, xs[0], axis)
    return sum_(where(hits, ts[0] / count, elsewhere), axis=axis, keepdims=keepdims)


def _amax_vjp(i: int, g: Array, y: Array, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    g = _spread(g, x, axis)
    if of(primal(g)).exact:  # without ties and NaN, and whether a ball is 0 may be unknown
        return where(x == _spread(y, x, axis), g, 0)
    hits, count, elsewhere = _argmax_weights(y, x, axis)
    return where(hits, g / count, where(g == 0, 0, elsewhere))


amax: Primitive = Unary(
    "amax",
    lambda xp, x, axis, keepdims: xp.amax(x, axis, keepdims),
    jvp=_amax_jvp,
    vjp=_amax_vjp,
    batch=_batch_rule("amax"),
    kink=lambda y, x, axis, keepdims: _ties(y, x, axis),
    source="np.max({0}, axis={axis}, keepdims={keepdims})",
    cases=_CASES,
)


def _softmax(y: Array, x: Array, axis: tuple[int, ...]) -> Array:
    y = _spread(y, x, axis)
    if not of(primal(y)).exact:  # an exact number is never -inf, and a ball that is not finite is only unknown
        y = where(isfinite(y), y, where(y < 0, 0, y))
    return exp(x - y)


logsumexp: Primitive = Unary(
    "logsumexp",
    lambda xp, x, axis, keepdims: xp.logsumexp(x, axis, keepdims),
    jvp=lambda y, xs, ts, axis, keepdims: sum_(ts[0] * _softmax(y, xs[0], axis), axis=axis, keepdims=keepdims),
    vjp=lambda i, g, y, x, axis, keepdims: _spread(g, x, axis) * _softmax(y, x, axis),
    batch=_batch_rule("logsumexp"),
    source="logsumexp({0}, {axis}, {keepdims})",
    cases=_CASES,
)

argmax: Primitive = Unary(
    "argmax",
    lambda xp, x, axis: xp.argmax(x, axis),
    jvp=None,
    vjp=None,
    batch=_batch_rule("argmax"),
    kink=lambda y, x, axis: _ties(amax(x, axis=(axis,), keepdims=True), x, (axis,)),
    source="np.argmax({0}, axis={axis})",
    cases=(case(real(2, 3), axis=1),),
)
