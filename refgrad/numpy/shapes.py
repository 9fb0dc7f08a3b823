"""Functions that rearrange, repeat and join arrays."""

from __future__ import annotations

import builtins
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.rules import contract
from refgrad.autodiff.rules import shape as rules
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.elementwise import asarray
from refgrad.numpy.reductions import axes_of
from refgrad.typing import Array, Axes, Shape


def reshape(x: Any, /, shape: int | Sequence[int]) -> Array:
    """The elements of x in row-major order as an array of `shape`; one length may be -1."""
    x = asarray(x)
    wanted = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    size = math.prod(shape_of(x))
    if wanted.count(-1) == 1:
        rest = math.prod(tuple(n for n in wanted if n != -1))
        if rest and size % rest == 0:
            wanted = tuple(size // rest if n == -1 else n for n in wanted)
    if math.prod(wanted) != size or builtins.sum(n < 0 for n in wanted):
        raise ShapeError(f"reshape: {size} elements of shape {shape_of(x)} do not fit shape {wanted}")
    return rules.reshape(x, shape=wanted)


def ravel(x: Any) -> Array:
    """The elements of x in row-major order as a vector."""
    return reshape(x, -1)


def transpose(x: Any, axes: Sequence[int] | None = None) -> Array:
    """x with its axes permuted, reversed if `axes` is None."""
    x = asarray(x)
    n = len(shape_of(x))
    if axes is None:
        return rules.transpose(x, axes=tuple(reversed(range(n))))
    order = tuple(axis_of(a, n, "transpose") for a in axes)
    if sorted(order) != list(range(n)):
        raise ShapeError(f"transpose: expected each of {n} axes once, got {tuple(axes)}")
    return rules.transpose(x, axes=order)


def axis_of(axis: int, ndim: int, what: str) -> int:
    """`axis` as a place from 0 to ndim - 1."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{what}: expected an axis from {-ndim} to {ndim - 1}, got {axis}")
    return axis % ndim


permute_dims = transpose


def matrix_transpose(x: Any) -> Array:
    """x with its last two axes exchanged."""
    return contract.matrix_transpose(asarray(x))


def swapaxes(x: Any, a: int, b: int) -> Array:
    """x with axes a and b exchanged."""
    n = len(shape_of(x))
    a, b = axis_of(a, n, "swapaxes"), axis_of(b, n, "swapaxes")
    order = list(range(n))
    order[a], order[b] = b, a
    return transpose(x, order)


def moveaxis(x: Any, source: int, destination: int) -> Array:
    """x with the axis `source` moved to the place `destination`."""
    n = len(shape_of(x))
    source, destination = axis_of(source, n, "moveaxis"), axis_of(destination, n, "moveaxis")
    order = [i for i in range(n) if i != source]
    order.insert(destination, source)
    return transpose(x, order)


def expand_dims(x: Any, axis: int) -> Array:
    """x with an axis of length 1 in the place `axis`."""
    dims = list(shape_of(x))
    dims.insert(axis_of(axis, len(dims) + 1, "expand_dims"), 1)
    return reshape(x, dims)


def flip(x: Any, axis: Axes = None) -> Array:
    """x with its elements in reverse order along `axis`, or along all axes."""
    x = asarray(x)
    return rules.flip(x, axes=axes_of(x, axis, "flip"))


def flipud(x: Any) -> Array:
    """x with its elements in reverse order along the first axis."""
    return flip(x, 0)


def fliplr(x: Any) -> Array:
    """x with its elements in reverse order along the second axis."""
    return flip(x, 1)


def squeeze(x: Any, axis: Axes = None) -> Array:
    """x without the axes of length 1 that `axis` names, or without all of them."""
    x = asarray(x)
    dims = shape_of(x)
    drop = [i for i, n in enumerate(dims) if n == 1] if axis is None else axes_of(x, axis, "squeeze")
    if any(dims[i] != 1 for i in drop):
        raise ShapeError(f"squeeze: expected axes of length 1, got {axis!r} of shape {dims}")
    return reshape(x, [n for i, n in enumerate(dims) if i not in drop])


def atleast_1d(x: Any) -> Array:
    """x, as an array of shape (1,) if it is a number."""
    return reshape(x, 1) if shape_of(x) == () else asarray(x)


def broadcast_to(x: Any, shape: Shape) -> Array:
    """x repeated to `shape` by the broadcasting rules."""
    return rules.broadcast_to(asarray(x), shape=tuple(shape))


def concatenate(parts: Sequence[Any], axis: int | None = 0) -> Array:
    """The parts end to end along `axis`; raveled first if `axis` is None."""
    arrays = [asarray(p) for p in parts]
    if not arrays:
        raise ShapeError("concatenate: expected at least one array, got none")
    if axis is None:
        arrays, axis = [ravel(a) for a in arrays], 0
    return rules.concat(*arrays, axis=axes_of(arrays[0], axis, "concatenate")[0])


concat = concatenate


def stack(parts: Sequence[Any], axis: int = 0) -> Array:
    """Arrays of one shape side by side along a new axis in the place `axis`."""
    arrays = [asarray(p) for p in parts]
    if len({shape_of(a) for a in arrays}) != 1:
        raise ShapeError(f"stack: expected arrays of one shape, got {[shape_of(a) for a in arrays]}")
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def pad(x: Any, pad_width: Any, mode: str = "constant") -> Array:
    """x with zeros round it: ``(before, after)`` for every axis, or one such pair for each."""
    if mode != "constant":
        raise ShapeError(f"pad: expected mode 'constant', which fills with zeros; got {mode!r}")
    x = asarray(x)
    dims = shape_of(x)
    widths = np.broadcast_to(np.asarray(pad_width, int), (len(dims), 2)).tolist()
    spans = tuple(slice(before, before + n) for (before, _), n in zip(widths, dims, strict=True))
    total = tuple(before + n + after for (before, after), n in zip(widths, dims, strict=True))
    return rules.pad(x, shape=total, index=spans)
