"""The Euclidean norm, whose gradient at 0 is taken to be 0.

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
from refgrad.autodiff.domains import case, nonzero, real
from refgrad.autodiff.primitive import elementwise, keepdims_shape
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


def _unit(y: Array, x: Array, axis: tuple[int, ...]) -> Array:
    """``x / |x|``."""
    return ratio(x, reshape(y, shape=keepdims_shape(shape_of(x), axis)))


def _norm_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], axis: tuple[int, ...], keepdims: bool) -> Array:
    return sum_(_unit(y, xs[0], axis) * ts[0], axis=axis, keepdims=keepdims)


def _norm_vjp(i: int, g: Array, y: Array, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    return reshape(g, shape=keepdims_shape(shape_of(x), axis)) * _unit(y, x, axis)


def _norm_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    return norm(args[0], axis=tuple(a + 1 for a in params["axis"]), keepdims=params["keepdims"])


norm: Primitive = Primitive(
    "norm",
    lambda xp, x, axis, keepdims: xp.euclidean_norm(x, axis, keepdims),
    jvp=_norm_jvp,
    vjp=_norm_vjp,
    batch=_norm_batch,
    kink=lambda y, x, axis, keepdims: y == 0,
    source="np.sqrt(np.sum({0} * {0}, axis={axis}, keepdims={keepdims}))",
    cases=(
        case(nonzero(3), axis=(0,), keepdims=False),
        case(nonzero(2, 3), axis=(1,), keepdims=True),
        case(nonzero(2, 3, 2), axis=(0, 2), keepdims=False),
    ),
)
