"""Sums, means, maxima and their relatives over axes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import Primitive, primal
from refgrad.autodiff.rules import discrete, reduce, scan, shape
from refgrad.autodiff.rules import elementwise as elementwise_rules
from refgrad.autodiff.rules.elementwise import stop_gradient
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray, astype, float_limits, floating
from refgrad.numpy.elementwise import exp, isfinite, log, where
from refgrad.typing import Array, Axes

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "count_nonzero", "cumprod", "cumsum", "cumulative_prod",
    "cumulative_sum", "logcumsumexp", "logsumexp", "max", "mean", "min", "prod", "softmax", "sum",
]  # fmt: skip


OF_NUMBERS = {"max", "prod", "sum"}
"""What takes a number along axis 0 or -1 as well, as NumPy's ufuncs do; means, which NumPy refuses there, do not."""


def axes_of(x: Array, axis: Axes, what: str) -> tuple[int, ...]:
    """The places that `axis` names in x, as different non-negative integers in ascending order."""
    ndim = len(shape_of(x))
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    for a in axes:
        if isinstance(a, (list, str)):
            raise ShapeError(f"{what}: expected an axis that is an int, or a tuple of ints; got {axis!r}")
        if not -ndim <= a < ndim:
            if ndim == 0 and what in OF_NUMBERS and axis in (0, -1):
                return ()
            places = f"axes from {-ndim} to {ndim - 1}" if ndim else "no axis"
            raise ShapeError(f"{what}: expected {places} for shape {shape_of(x)}, got {axis!r}")
    normal = tuple(sorted(a % ndim for a in axes))
    if len(set(normal)) != len(normal):
        raise ShapeError(f"{what}: expected different axes, got {axis!r}")
    return normal


def sum(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The sum over `axis`, in the dtype of x."""
    x = asarray(x)
    return reduce.sum_.apply(x, axis=axes_of(x, axis, "sum"), keepdims=keepdims)


def mean(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The mean over `axis`."""
    x = asarray(x)
    char = getattr(getattr(x, "dtype", None), "char", "d")
    if char == "e":  # float16, in float32 as NumPy's: sums overflow at 65504
        return astype(mean(astype(x, np.float32), axis, keepdims=keepdims), np.float16)
    if char not in "fd":  # integers, whose sums wrap
        x = floating(x)
    axes = axes_of(x, axis, "mean")
    dims = shape_of(x)
    return reduce.sum_.apply(x, axis=axes, keepdims=keepdims) / math.prod([dims[a] for a in axes])


def max(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The largest element over `axis`; equal ones share its derivative evenly."""
    x = asarray(x)
    return reduce.amax.apply(x, axis=axes_of(x, axis, "max"), keepdims=keepdims)


def min(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The smallest element over `axis`; equal ones share its derivative evenly."""
    x = asarray(x)
    return _reverse_order(max(_reverse_order(x), axis, keepdims=keepdims))


def _reverse_order(x: Array) -> Array:
    """``-x``; of integers and booleans ``~x``, which turns their order round as well and cannot overflow."""
    return discrete.invert(x) if getattr(getattr(x, "dtype", None), "kind", "f") in "iub" else -x


amax, amin = max, min


def count_nonzero(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """The number of elements over `axis` that are not zero, or that are True; an integer, without a derivative."""
    return sum(where(asarray(x), 1, 0), axis, keepdims=keepdims)


def any(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """Whether an element over `axis` is not zero, or is True."""
    return count_nonzero(x, axis, keepdims=keepdims) > 0


def all(x: Any, axis: Axes = None, *, keepdims: bool = False) -> Array:
    """Whether no element over `axis` is zero, or is False."""
    return sum(where(asarray(x), 0, 1), axis, keepdims=keepdims) == 0


def cumsum(x: Any, axis: int | None = None) -> Array:
    """The running sums along `axis`, or of the raveled x."""
    x, axis = _line(x, axis, "cumsum")
    return scan.cumsum(x, axis=axis) if shape_of(x)[axis] else _wide(x)


def cumulative_sum(x: Any, /, *, axis: int | None = None, include_initial: bool = False) -> Array:
    """The running sums along `axis`, which a vector need not name; with `include_initial` after a 0."""
    return _cumulative(x, axis, include_initial, scan.cumsum, 0, "cumulative_sum")


def cumulative_prod(x: Any, /, *, axis: int | None = None, include_initial: bool = False) -> Array:
    """The running products along `axis`, which a vector need not name; with `include_initial` after a 1."""
    return _cumulative(x, axis, include_initial, scan.cumprod, 1, "cumulative_prod")


def _cumulative(x: Any, axis: int | None, initial: bool, running: Primitive, start: int, what: str) -> Array:
    x = asarray(x)
    if not shape_of(x):  # a number is a vector of one
        x = shape.reshape(x, shape=(1,))
    if axis is None and len(shape_of(x)) != 1:
        raise ShapeError(f"{what}: expected an axis for an array of shape {shape_of(x)}")
    place = axes_of(x, 0 if axis is None else axis, what)[0]
    dims = shape_of(x)
    y = running(x, axis=place) if dims[place] else _wide(x)
    if not initial:
        return y
    plain = primal(x)
    first = backend.of(plain).zeros((*dims[:place], 1, *dims[place + 1 :]), plain) + start
    return shape.concat(first, y, axis=place)


def cumprod(x: Any, axis: int | None = None) -> Array:
    """The running products along `axis`, or of the raveled x; its derivatives are exact where factors are zero."""
    x, axis = _line(x, axis, "cumprod")
    return scan.cumprod(x, axis=axis) if shape_of(x)[axis] else _wide(x)


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
        else:
            x = _wide(x)
    x = x if axes else _wide(x)
    return x if keepdims else shape.reshape(x, shape=tuple(n for i, n in enumerate(dims) if i not in axes))


def _wide(x: Array) -> Array:
    """Integers and booleans in the dtype in which NumPy sums and multiplies them, however few."""
    dtype = getattr(x, "dtype", None)
    if getattr(dtype, "kind", "f") not in "iub" or dtype.itemsize == 8:  # type: ignore[union-attr]
        return x
    return elementwise_rules.astype(x, dtype=np.uint64 if dtype.kind == "u" else np.int64)  # type: ignore[union-attr]


def _line(x: Any, axis: int | None, what: str) -> tuple[Array, int]:
    x = asarray(x)
    if axis is None or (axis in (0, -1) and not shape_of(x)):  # a number is a vector of one
        return shape.reshape(x, shape=(math.prod(shape_of(x)),)), 0
    return x, axes_of(x, axis, what)[0]


def argmax(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The first index of the largest element along `axis`, or in the raveled array."""
    dims = shape_of(asarray(x))
    line, place = _line(x, axis, "argmax")
    y = reduce.argmax(line, axis=place)
    if not keepdims:
        return y
    axes = range(len(dims)) if axis is None else (place,)
    return shape.reshape(y, shape=tuple(1 if i in axes else n for i, n in enumerate(dims)))


def argmin(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Array:
    """The first index of the smallest element along `axis`, or in the raveled array."""
    return argmax(_reverse_order(asarray(x)), axis, keepdims=keepdims)


def logsumexp(x: Any, axis: Axes = None, *, b: Any = None, keepdims: bool = False) -> Array:
    """``log(sum(b * exp(x)))`` over `axis`, without overflow; NaN where the sum is negative.

    Parameters
    ----------
    x : array
        With -inf for what is left out.
    axis : int, tuple of ints, or None for all axes
    b : array, optional
        Weights, of a shape that fits that of x, of any sign; differentiable like x. By default 1.
    keepdims : bool
        Whether the axes stay, with length 1.
    """
    x = floating(x)
    if b is None:
        return reduce.logsumexp(x, axis=axes_of(x, axis, "logsumexp"), keepdims=keepdims)
    x, b = _spread(x, floating(b))
    y = _weighted_logsumexp(x, b, axes_of(x, axis, "logsumexp"))
    return y if keepdims else shape.reshape(y, shape=shape_of(sum(x, axis)))


def _spread(x: Array, b: Array) -> tuple[Array, Array]:
    dims = np.broadcast_shapes(shape_of(x), shape_of(b))
    return shape.broadcast_to(x, shape=dims), shape.broadcast_to(b, shape=dims)


def _weighted_logsumexp(x: Array, b: Array, axes: tuple[int, ...]) -> Array:
    if backend.of(primal(x), primal(b)).exact:  # exact numbers do not overflow
        return log(sum(b * exp(x), axes, keepdims=True))
    every = stop_gradient(max(x, axes, keepdims=True))
    top = stop_gradient(max(where(b == 0, -math.inf, x), axes, keepdims=True))
    shift = where(isfinite(top), top, 0)
    exponents = x - shift
    # what has no weight may be so far above the others that its exponential overflows, and 0 * inf is NaN
    largest = int(math.log(float_limits(primal(exponents)).max))
    exponents = where((b == 0) & (exponents > largest), largest, exponents)
    total = sum(b * exp(exponents), axes, keepdims=True)
    nothing = every == -math.inf
    return where(nothing, -math.inf, log(where(nothing, 1, total)) + shift)


def logcumsumexp(x: Any, axis: int | None = None) -> Array:
    """``log(cumsum(exp(x)))`` along `axis`, or of the raveled x, without overflow.

    Every sum is taken relative to its own largest term: one maximum for the whole axis would lose the first sums, and
    their derivatives, wherever later elements are much larger.

    Parameters
    ----------
    x : array
    axis : int, or None for the raveled x
    """
    y, axis = _line(floating(x), axis, "logcumsumexp")
    n, reach = shape_of(y)[axis], 1
    while reach < n:  # after each round, element k holds the sum over the last 2 * reach elements up to k
        ends, starts = scan.along(y, axis, slice(reach, None)), scan.along(y, axis, slice(None, n - reach))
        pairs = shape.concat(*(shape.reshape(p, shape=(1, *shape_of(p))) for p in (starts, ends)), axis=0)
        sums = reduce.logsumexp(pairs, axis=(0,), keepdims=False)
        y = shape.concat(scan.along(y, axis, slice(None, reach)), sums, axis=axis)
        reach *= 2
    return y


def softmax(x: Any, axis: int = -1) -> Array:
    """``exp(x) / sum(exp(x))`` along `axis`, without overflow.

    Parameters
    ----------
    x : array
    axis : int
    """
    x = floating(x)
    return exp(x - logsumexp(x, axis, keepdims=True))
