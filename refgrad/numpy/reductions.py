"""Sums, means, maxima and their relatives over axes."""

from __future__ import annotations

import math
from typing import Any

from refgrad.autodiff.rules import reduce, scan, shape
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.elementwise import asarray, exp, sqrt
from refgrad.typing import Array, Axes


def axes_of(x: Array, axis: Axes, what: str) -> tuple[int, ...]:
    """The places that `axis` names in x, as different non-negative integers in ascending order."""
    ndim = len(shape_of(x))
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if not -ndim <= a < ndim:
            raise ShapeError(f"{what}: expected axes from {-ndim} to {ndim - 1} for shape {shape_of(x)}, got {axis!r}")
    normal = tuple(sorted(a % ndim for a in axes))
    if len(set(normal)) != len(normal):
        raise ShapeError(f"{what}: expected different axes, got {axis!r}")
    return normal


def sum(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The sum over `axis`, in the dtype of x."""
    x = asarray(x)
    return reduce.sum_(x, axis=axes_of(x, axis, "sum"), keepdims=keepdims)


def mean(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The mean over `axis`."""
    x = asarray(x)
    axes = axes_of(x, axis, "mean")
    dims = shape_of(x)
    return reduce.sum_(x, axis=axes, keepdims=keepdims) / math.prod([dims[a] for a in axes])


def var(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The mean squared deviation from the mean over `axis` (divided by N, not N - 1)."""
    x = asarray(x)
    centred = x - mean(x, axis, keepdims=True)
    return mean(centred * centred, axis, keepdims=keepdims)


def std(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The square root of `var`; its derivative does not exist where all elements are equal, and is NaN there."""
    return sqrt(var(x, axis, keepdims=keepdims))


def max(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The largest element over `axis`; equal ones share its derivative evenly."""
    x = asarray(x)
    return reduce.amax(x, axis=axes_of(x, axis, "max"), keepdims=keepdims)


def min(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The smallest element over `axis`; equal ones share its derivative evenly."""
    return -max(-asarray(x), axis, keepdims=keepdims)


amax, amin = max, min


def cumsum(x: Any, axis: int | None = None) -> Array:
    """The running sums along `axis`, or of the raveled x."""
    x, axis = _line(x, axis, "cumsum")
    return scan.cumsum(x, axis=axis) if shape_of(x)[axis] else x


def cumprod(x: Any, axis: int | None = None) -> Array:
    """The running products along `axis`, or of the raveled x; its derivatives are exact where factors are zero."""
    x, axis = _line(x, axis, "cumprod")
    return scan.cumprod(x, axis=axis) if shape_of(x)[axis] else x


def prod(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The product over `axis`; 1 over none. Its derivatives, products of the other factors, are exact at zeros."""
    x = asarray(x)
    axes = axes_of(x, axis, "prod")
    dims = shape_of(x)
    for a in reversed(axes):
        if dims[a] == 0:
            x = sum(x, a, keepdims=True) + 1  # the empty product
        elif dims[a] > 1:
            x = scan.along(scan.cumprod(x, axis=a), a, slice(-1, None))
    return x if keepdims else shape.reshape(x, shape=tuple(n for i, n in enumerate(dims) if i not in axes))


def _line(x: Any, axis: int | None, what: str) -> tuple[Array, int]:
    x = asarray(x)
    if axis is None:
        return shape.reshape(x, shape=(math.prod(shape_of(x)),)), 0
    return x, axes_of(x, axis, what)[0]


def argmax(x: Any, axis: int | None = None) -> Array:
    """The first index of the largest element along `axis`, or in the raveled array."""
    x = asarray(x)
    if axis is None:
        x, axis = shape.reshape(x, shape=(math.prod(shape_of(x)),)), 0
    return reduce.argmax(x, axis=axes_of(x, axis, "argmax")[0])


def argmin(x: Any, axis: int | None = None) -> Array:
    """The first index of the smallest element along `axis`, or in the raveled array."""
    return argmax(-asarray(x), axis)


def logsumexp(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """``log(sum(exp(x)))`` over `axis`, without overflow."""
    x = asarray(x)
    return reduce.logsumexp(x, axis=axes_of(x, axis, "logsumexp"), keepdims=keepdims)


def softmax(x: Any, axis: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along `axis`, without overflow."""
    x = asarray(x)
    return exp(x - logsumexp(x, axis, keepdims=True))
