"""``x[key]`` for every key that NumPy takes, and gathering and scattering by integer arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import Tracer, primal, value_of
from refgrad.autodiff.rules import elementwise, index, shape
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.elementwise import clip, where
from refgrad.numpy.reductions import axes_of
from refgrad.numpy.shapes import ravel, reshape
from refgrad.typing import Array

__all__ = ["getitem", "put_along_axis_add", "scatter_add", "take", "take_along_axis"]


def getitem(x: Array, key: Any) -> Array:
    """``x[key]`` for every key that NumPy takes.

    Parameters
    ----------
    x : array
    key : int, slice, None, Ellipsis, array of ints or bools, or a tuple of them
    """
    keys = key if isinstance(key, tuple) else (key,)
    if all(_is_basic(k) for k in keys):
        return _basic(x, keys)
    dims = shape_of(x)
    first = keys[0]
    if len(keys) == 1 and hasattr(first, "dtype") and first.dtype.kind in "iu" and (first.ndim or _is_traced(first)):
        first = wide(first)
        plain = primal(first)
        _check_bounds(plain, dims[0])
        negative = plain.size and plain.min() < 0
        wrapped = where(first < 0, first + dims[0], first) if negative else first
        if not first.ndim:  # one index for each example
            return reshape(index.take(x, reshape(wrapped, 1), axis=0), dims[1:])
        return index.take(x, wrapped, axis=0)
    if any(_is_traced(k) for k in keys) and all(_is_integers(k) for k in keys) and len(keys) <= len(dims):
        rows = reshape(x, (math.prod(dims[: len(keys)]), *dims[len(keys) :]))
        return index.take(rows, _in_rows(keys, dims), axis=0)
    place = _only_traced(keys)
    if place is not None and len(keys) <= len(dims):
        return take(x, keys[place], place)
    keys = tuple(value_of(k) for k in keys)
    # any other key: look up which elements it picks, then take those
    value = primal(x)
    everything = backend.of(value).indices(math.prod(dims), value)
    if not hasattr(everything, "reshape"):  # a library with the standard's few kinds of keys
        everything, keys = np.arange(math.prod(dims)), tuple(np.asarray(k) if hasattr(k, "dtype") else k for k in keys)
    return index.take(reshape(x, -1), beside(everything.reshape(dims)[keys], x), axis=0)


def _only_traced(keys: tuple[Any, ...]) -> int | None:
    """The place of the only key that is not ``:``, if it is of integers and traced."""
    others = [place for place, k in enumerate(keys) if not (isinstance(k, slice) and k == slice(None))]
    found = len(others) == 1 and _is_traced(keys[others[0]]) and _is_integers(keys[others[0]])
    return others[0] if found else None


def _is_integers(k: Any) -> bool:
    if hasattr(k, "dtype"):
        return getattr(k.dtype, "kind", "") in "iu"
    return isinstance(k, int) and not isinstance(k, bool)


def _in_rows(keys: tuple[Any, ...], dims: tuple[int, ...]) -> Array:
    """Indices into several axes, of which some are traced, as indices into all of these end to end."""
    total: Any = 0
    size = math.prod(dims[: len(keys)])
    outside: Any = None
    for k, n in zip(keys, dims, strict=False):
        k = wide(k) if hasattr(k, "dtype") else k
        total = total * n + (where(k < 0, k + n, k) if hasattr(k, "dtype") else k % n)
        wrong = (k >= n) | (k < -n)
        outside = wrong if outside is None else outside | wrong
    # an index out of bounds must not reach into another row: it is made one out of all bounds
    return where(outside, size, total)


def beside(indices: Array, x: Array) -> Array:
    """Plain NumPy indices as an array of the library of x."""
    table = backend.of(primal(x))
    foreign = isinstance(indices, np.ndarray) and table is not backend.NUMPY and not table.exact
    return table.xp.asarray(indices) if foreign else indices


def _is_basic(k: Any) -> bool:
    return k is None or k is Ellipsis or (isinstance(k, (int, np.integer, slice)) and not isinstance(k, bool))


def _is_traced(x: Any) -> bool:
    return isinstance(x, Tracer)


def _check_bounds(indices: Array, size: int) -> None:
    if indices.size and (int(indices.max()) >= size or int(indices.min()) < -size):
        raise IndexError(f"x[i]: expected indices from {-size} to {size - 1}, got {indices.min()} to {indices.max()}")


def _basic(x: Array, keys: tuple[Any, ...]) -> Array:
    dims = shape_of(x)
    used = sum(k is not None and k is not Ellipsis for k in keys)
    if used > len(dims):
        raise IndexError(f"x[...]: {used} indices for an array of shape {dims}")
    if Ellipsis not in keys:
        keys = (*keys, Ellipsis)
    at = keys.index(Ellipsis)
    keys = keys[:at] + (slice(None),) * (len(dims) - used) + keys[at + 1 :]
    spans: list[slice] = []
    result: list[int] = []
    for k in keys:
        if k is None:
            result.append(1)
            continue
        n = dims[len(spans)]
        if isinstance(k, slice):
            spans.append(k)
            result.append(len(range(*k.indices(n))))
        else:
            if not -n <= k < n:
                raise IndexError(f"x[...]: index {k} is out of bounds for an axis of length {n}")
            spans.append(slice(int(k) % n, int(k) % n + 1))
    if any(s != slice(None) for s in spans):
        x = shape.slice_(x, index=tuple(spans))
    return x if shape_of(x) == tuple(result) else shape.reshape(x, shape=tuple(result))


def take(x: Any, indices: Any, axis: int | None = None, *, mode: str = "raise") -> Array:
    """The elements of x at `indices` along `axis`, or of the raveled x.

    An index out of bounds raises; with `mode` "wrap" it counts on from the other end, with "clip" it is the nearest.
    """
    x = asarray(x)
    if axis is None or (axis in (0, -1) and not shape_of(x)):  # a number is a vector of one
        x, axis = ravel(x), 0
    place = axes_of(x, axis, "take")[0]
    indices, n = beside(wide(indices), x), shape_of(x)[place]
    if mode == "wrap":
        indices = value_of(indices) % n
    elif mode == "clip":
        indices = clip(indices, 0, n - 1)
    elif mode != "raise":
        raise InvalidInput(f"take: expected mode raise, wrap or clip, got {mode!r}")
    return index.take(x, indices, axis=place)


def take_along_axis(x: Any, indices: Any, axis: int | None = -1) -> Array:
    """``y[i, j] = x[i, indices[i, j]]`` along the last axis, and so for any; with None, of the raveled x."""
    x = asarray(x)
    if axis is None:
        x, axis = ravel(x), 0
    if len(shape_of(x)) != len(shape_of(asarray(indices))):
        raise ShapeError(
            f"take_along_axis: expected indices with as many axes as x, of shape {shape_of(x)}; got shape "
            f"{shape_of(asarray(indices))}. take(x, indices, axis) picks the same for every line"
        )
    return index.take_along_axis(x, wide(indices), axis=axes_of(x, axis, "take_along_axis")[0])


def scatter_add(g: Any, indices: Any, axis: int, size: int) -> Array:
    """Zeros of length `size` along `axis`, to which g is added at `indices`; repeated indices accumulate.

    Parameters
    ----------
    g : array
        With the axes of `indices` in place of `axis`.
    indices : array of integers
        From ``-size`` to ``size - 1``.
    axis : int
        Of the result.
    size : int
    """
    g, indices = asarray(g), wide(indices)
    rank = len(shape_of(g)) - len(shape_of(indices)) + 1
    return index.scatter_add(g, indices, axis=_checked_axis(axis, rank, "scatter_add"), size=size)


def put_along_axis_add(g: Any, indices: Any, axis: int, size: int) -> Array:
    """The transpose of `take_along_axis`: zeros of length `size` along `axis`, g added at `indices`.

    Parameters
    ----------
    g : array
    indices : array of integers, of the shape of g
        From ``-size`` to ``size - 1``.
    axis : int
    size : int
    """
    g = asarray(g)
    place = axes_of(g, axis, "put_along_axis_add")[0]
    return index.put_along_axis_add(g, wide(indices), axis=place, size=size)


def wide(indices: Any) -> Array:
    """Indices as an int64 array: a narrower or an unsigned one cannot hold what is added to it."""
    indices = asarray(np.asarray(indices) if isinstance(indices, (int, float)) else indices)
    if getattr(indices.dtype, "kind", "i") not in "iub":
        raise InvalidInput(f"expected integer indices, got dtype {indices.dtype}")
    narrow = isinstance(indices.dtype, np.dtype) and indices.dtype.kind in "iu" and indices.dtype != np.int64
    return elementwise.astype(indices, dtype=np.int64) if narrow else indices


def _checked_axis(axis: int, rank: int, what: str) -> int:
    if not -rank <= axis < rank:
        raise ShapeError(f"{what}: expected an axis from {-rank} to {rank - 1} of the result, got {axis}")
    return axis % rank
