"""Functions that give an array another shape, or its axes another order."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.rules import matrix
from refgrad.autodiff.rules import shape as rules
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.reductions import axes_of
from refgrad.typing import Array, Axes, Shape

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "broadcast_to", "expand_dims", "flip", "fliplr",
    "flipud", "matrix_transpose", "moveaxis", "permute_dims", "ravel", "reshape", "squeeze", "swapaxes",
    "transpose",
]  # fmt: skip


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
    return rules.reshape.apply(x, shape=wanted)


def ravel(x: Any) -> Array:
    """The elements of x in row-major order as a vector."""
    return reshape(x, -1)


def transpose(x: Any, axes: int | Sequence[int] | None = None) -> Array:
    """x with its axes permuted, reversed if `axes` is None."""
    x = asarray(x)
    n = len(shape_of(x))
    if axes is None:
        return rules.transpose(x, axes=tuple(reversed(range(n))))
    places = (axes,) if isinstance(axes, (int, np.integer)) else tuple(axes)
    order = tuple(axis_of(a, n, "transpose") for a in places)
    if sorted(order) != list(range(n)):
        raise ShapeError(f"transpose: expected each of the {n} axes of shape {shape_of(x)} once, got {axes!r}")
    return rules.transpose(x, axes=order)


def axis_of(axis: int, ndim: int, what: str) -> int:
    """`axis` as a place from 0 to ndim - 1."""
    if not -ndim <= axis < ndim:
        raise ShapeError(f"{what}: expected an axis from {-ndim} to {ndim - 1}, got {axis}")
    return axis % ndim


permute_dims = transpose


def matrix_transpose(x: Any) -> Array:
    """x with its last two axes exchanged."""
    return matrix.matrix_transpose(asarray(x))


def swapaxes(x: Any, axis1: int, axis2: int) -> Array:
    """x with two axes exchanged."""
    x = asarray(x)
    n = len(shape_of(x))
    a, b = axis_of(axis1, n, "swapaxes"), axis_of(axis2, n, "swapaxes")
    order = list(range(n))
    order[a], order[b] = b, a
    return transpose(x, order)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Array:
    """x with the axes `source` moved to the places `destination`, one axis or as many as there are places."""
    x = asarray(x)
    n = len(shape_of(x))
    sources, places = (
        [axis_of(a, n, "moveaxis") for a in ([axes] if isinstance(axes, (int, np.integer)) else axes)]
        for axes in (source, destination)
    )
    if not len(set(sources)) == len(sources) == len(places) == len(set(places)):
        raise ShapeError(f"moveaxis: expected as many different places as axes, got {source!r} and {destination!r}")
    order = [i for i in range(n) if i not in sources]
    for place, a in sorted(zip(places, sources, strict=True)):
        order.insert(place, a)
    return transpose(x, order)


def expand_dims(x: Any, axis: int | Sequence[int]) -> Array:
    """x with axes of length 1 in the places of the result that `axis` names."""
    x = asarray(x)
    dims = shape_of(x)
    axes = tuple(axis) if isinstance(axis, (tuple, list)) else (axis,)
    rank = len(dims) + len(axes)
    places = {axis_of(a, rank, "expand_dims") for a in axes}
    if len(places) != len(axes):
        raise ShapeError(f"expand_dims: expected different axes, got {axis!r}")
    rest = iter(dims)
    return reshape(x, [1 if i in places else next(rest) for i in range(rank)])


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
    every = axis is None or (axis in (0, -1) and not dims)
    drop = [i for i, n in enumerate(dims) if n == 1] if every else axes_of(x, axis, "squeeze")
    if any(dims[i] != 1 for i in drop):
        raise ShapeError(f"squeeze: expected axes of length 1, got {axis!r} of shape {dims}")
    return reshape(x, [n for i, n in enumerate(dims) if i not in drop])


def atleast_1d(*xs: Any) -> Any:
    """x, as an array of shape (1,) if it is a number; of several x, a tuple."""
    return _each(xs, lambda x: x if shape_of(x) else reshape(x, 1))


def atleast_2d(*xs: Any) -> Any:
    """x, as a matrix of one row if it is a number or a vector; of several x, a tuple."""
    return _each(xs, lambda x: x if len(shape_of(x)) > 1 else reshape(x, (1, -1)))


def atleast_3d(*xs: Any) -> Any:
    """x, of shape (1, n, 1) if it is a vector and (m, n, 1) if a matrix; of several x, a tuple."""

    def three(x: Array) -> Array:
        dims = shape_of(x)
        return x if len(dims) > 2 else reshape(x, ((1,), (1,), ())[len(dims)] + (dims or (1,)) + (1,))

    return _each(xs, three)


def _each(xs: tuple[Any, ...], f: Callable[[Array], Array]) -> Any:
    ys = tuple(f(asarray(x)) for x in xs)
    return ys[0] if len(ys) == 1 else ys


def broadcast_to(x: Any, shape: int | Shape) -> Array:
    """x repeated to `shape` by the broadcasting rules."""
    return rules.broadcast_to(asarray(x), shape=(shape,) if isinstance(shape, (int, np.integer)) else tuple(shape))


def broadcast_arrays(*xs: Any) -> tuple[Array, ...]:
    """The arrays repeated to the shape that they have in common by the broadcasting rules."""
    arrays = [asarray(x) for x in xs]
    try:
        common = np.broadcast_shapes(*map(shape_of, arrays))
    except ValueError:
        raise ShapeError(f"broadcast_arrays: shapes {[shape_of(a) for a in arrays]} do not fit one another") from None
    return tuple(a if getattr(a, "shape", None) == common else rules.broadcast_to(a, shape=common) for a in arrays)
