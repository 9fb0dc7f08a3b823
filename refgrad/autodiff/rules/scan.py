"""Running sums and products along an axis, exact where a product meets zeros.

The derivative of a product is the product of the other factors, not the product divided by the factor: at a zero only
the first exists. Both derivatives of a running product follow a linear recurrence, so `recurrence` is a primitive of
its own, and its derivatives are recurrences again: the set is closed under differentiation, without a division.

    cumprod      y_k = x_k y_{k-1}              dy_k = x_k dy_{k-1} + y_{k-1} dx_k
    recurrence   s_k = a_k s_{k-1} + b_k        ds_k = a_k ds_{k-1} + (s_{k-1} da_k + db_k)

with y_0 = x_0 and s_0 = b_0. Backwards, the cotangent of s_k gathers ``l_k = g_k + a_{k+1} l_{k+1}``, which is the same
recurrence on the reversed axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.autodiff.core import PRIMITIVES, Primitive, Unary
from refgrad.autodiff.domains import case, real
from refgrad.autodiff.primitive import zeros_like
from refgrad.autodiff.rules.shape import concat, flip, slice_, with_examples
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["cumprod", "cumsum", "recurrence"]


def along(x: Array, axis: int, part: slice) -> Array:
    """A `part` of one axis of `x`."""
    return slice_(x, index=tuple(part if k == axis else slice(None) for k in range(len(shape_of(x)))))


def before(x: Array, axis: int, first: Array) -> Array:
    """``[first, x_0, ..., x_{n-2}]``: at each place what stood before it."""
    return concat(first, along(x, axis, slice(None, -1)), axis=axis)


def after(x: Array, axis: int) -> Array:
    """``[x_1, ..., x_{n-1}, 0]``: at each place what stands after it."""
    return concat(along(x, axis, slice(1, None)), zeros_like(along(x, axis, slice(0, 1))), axis=axis)


def accumulate_back(g: Array, a: Array, axis: int) -> Array:
    """``l_k = g_k + a_{k+1} l_{k+1}``, from the end."""
    return flip(recurrence(flip(after(a, axis), axes=(axis,)), flip(g, axes=(axis,)), axis=axis), axes=(axis,))


def _batch_rule(name: str) -> Any:
    def batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
        whole = [with_examples(size, m, a) for m, a in zip(mapped, args, strict=True)]
        return PRIMITIVES[name](*whole, axis=params["axis"] + 1)

    return batch


cumsum: Primitive = Unary(
    "cumsum",
    lambda xp, x, axis: xp.cumsum(x, axis),
    jvp=lambda y, xs, ts, axis: cumsum(ts[0], axis=axis),
    vjp=lambda i, g, y, x, axis: flip(cumsum(flip(g, axes=(axis,)), axis=axis), axes=(axis,)),
    batch=_batch_rule("cumsum"),
    source="np.cumsum({0}, axis={axis})",
    cases=(case(real(3), axis=0), case(real(2, 3), axis=1), case(real(2, 1), axis=1)),
)


def _recurrence_jvp(s: Array, xs: Sequence[Array], ts: Sequence[Array], axis: int) -> Array:
    (a, _), (da, db) = xs, ts
    if da is None:
        return recurrence(a, db, axis=axis)
    moved = da * before(s, axis, zeros_like(along(s, axis, slice(0, 1))))
    return recurrence(a, moved if db is None else moved + db, axis=axis)


def _recurrence_vjp(i: int, g: Array, s: Array, a: Array, b: Array, axis: int) -> Array:
    gathered_g = accumulate_back(g, a, axis)
    return gathered_g if i == 1 else gathered_g * before(s, axis, zeros_like(along(s, axis, slice(0, 1))))


recurrence: Primitive = Primitive(
    "recurrence",
    lambda xp, a, b, axis: xp.recurrence(a, b, axis),
    jvp=_recurrence_jvp,
    vjp=_recurrence_vjp,
    batch=_batch_rule("recurrence"),
    source="recurrence({0}, {1}, {axis})",
    cases=(case(real(3), real(3), axis=0), case(real(2, 3), real(2, 3), axis=1), case(real(1, 2), real(1, 2), axis=0)),
)


def _cumprod_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], axis: int) -> Array:
    return recurrence(xs[0], ts[0] * _products_before(y, axis), axis=axis)


def _cumprod_vjp(i: int, g: Array, y: Array, x: Array, axis: int) -> Array:
    return accumulate_back(g, x, axis) * _products_before(y, axis)


def _products_before(y: Array, axis: int) -> Array:
    return before(y, axis, zeros_like(along(y, axis, slice(0, 1))) + 1)


cumprod: Primitive = Unary(
    "cumprod",
    lambda xp, x, axis: xp.cumprod(x, axis),
    jvp=_cumprod_jvp,
    vjp=_cumprod_vjp,
    batch=_batch_rule("cumprod"),
    source="np.cumprod({0}, axis={axis})",
    cases=(case(real(3), axis=0), case(real(2, 3), axis=1), case(real(2, 1), axis=1)),
)
