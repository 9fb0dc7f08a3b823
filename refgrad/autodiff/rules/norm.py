"""The Euclidean norm, whose gradient at 0 is taken to be 0, and with a number under the root, which has no kink.

The norm is even, so 0 is the one value at 0 that an odd gradient can have. It has no second derivative there, in any
mode: the gradient is ``ratio(x, |x|)``, where `ratio` of 0 and 0 is 0 but its derivative is NaN. That holds for the
derivative in a zero direction too: ``|x|^2``, written with the norm, has a second derivative at 0 that the rules of its
factors do not give, and 0 would be a wrong one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from refgrad import backend
from refgrad.autodiff.core import Primitive, primal
from refgrad.autodiff.domains import case, nonzero, positive, real
from refgrad.autodiff.primitive import elementwise, keepdims_shape, unbroadcast
from refgrad.autodiff.rules.elementwise import where
from refgrad.autodiff.rules.reduce import sum_
from refgrad.autodiff.rules.shape import reshape
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["divide", "norm", "ratio"]


def divide(t: Array, b: Array) -> Array:
    """``t / b``, and NaN where b is 0, whatever t is."""
    return t / b if backend.of(primal(b)).exact else t / where(b == 0, math.nan, b)


ratio: Primitive = elementwise(
    "ratio",
    lambda xp, a, b: xp.ratio(a, b),
    d=[lambda t, y, a, b: divide(t, b), lambda t, y, a, b: -divide(t * y, b)],
    source="ratio({0}, {1})",
    cases=(case(real(2, 3), nonzero(2, 3)), case(real(3), nonzero(2, 1)), case(real(), nonzero())),
)


def _unit(y: Array, x: Array, *e: Array, axis: tuple[int, ...]) -> Array:
    """``x / y``, which without e is 0 at 0."""
    length = reshape(y, shape=keepdims_shape(shape_of(x), axis))
    return x / length if e else ratio(x, length)


def _norm_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], axis: tuple[int, ...], keepdims: bool) -> Array:
    of_x = None if ts[0] is None else sum_(_unit(y, *xs, axis=axis) * ts[0], axis=axis, keepdims=keepdims)
    if len(ts) == 1 or ts[1] is None:
        return of_x
    of_e = ts[1] / (2 * y)
    return of_e if of_x is None else of_x + of_e


def _norm_vjp(i: int, g: Array, y: Array, x: Array, *e: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    if i == 1:
        return unbroadcast(g / (2 * y), e[0])
    return reshape(g, shape=keepdims_shape(shape_of(x), axis)) * _unit(y, x, *e, axis=axis)


def _norm_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    x = args[0] if mapped[0] else reshape(args[0], shape=(1, *shape_of(args[0])))
    if len(args) == 2 and mapped[1]:
        rank = len(shape_of(x)) - 1
        args = (x, reshape(args[1], shape=(size,) + (1,) * rank))
    return norm(x, *args[1:], axis=tuple(a + 1 for a in params["axis"]), keepdims=params["keepdims"])


norm: Primitive = Primitive(
    "norm",
    lambda xp, *xs, axis, keepdims: xp.euclidean_norm(*xs, axis=axis, keepdims=keepdims),
    jvp=_norm_jvp,
    vjp=_norm_vjp,
    batch=_norm_batch,
    kink=lambda y, *xs, axis, keepdims: y == 0,
    source="norm({all}, axis={axis}, keepdims={keepdims})",
    cases=(
        case(nonzero(3), axis=(0,), keepdims=False),
        case(nonzero(2, 3), axis=(1,), keepdims=True),
        case(nonzero(2, 3, 2), axis=(0, 2), keepdims=False),
        case(real(2, 3), positive(), axis=(1,), keepdims=True),
    ),
)
