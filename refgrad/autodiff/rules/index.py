"""Gathering elements by integer arrays, and the transposes, which add at repeated indices.

`take` and `scatter_add` work along one axis with one array of indices; the `along_axis` pair works with an index for
every line. Indices are never differentiated.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from refgrad import backend
from refgrad.autodiff.core import PRIMITIVES, Primitive, Tracer, primal
from refgrad.autodiff.domains import case, index, real
from refgrad.autodiff.rules.elementwise import where
from refgrad.autodiff.rules.shape import reshape, transpose, with_examples
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["put_along_axis_add", "scatter_add", "take", "take_along_axis"]


def move_axes(x: Array, start: int, count: int, to: int) -> Array:
    """`x` with the `count` axes from `start` moved to begin at place `to` among the others."""
    order = list(range(len(shape_of(x))))
    block = order[start : start + count]
    rest = order[:start] + order[start + count :]
    axes = (*rest[:to], *block, *rest[to:])
    return x if axes == tuple(order) else transpose(x, axes=axes)


def in_one_row(indices: Array, size: int, n: int) -> Array:
    """Indices of each example into its own `n` entries, as indices into all entries end to end."""
    value = primal(indices)
    xp = backend.of(value)
    if math.prod(shape_of(value)):
        every = tuple(range(len(shape_of(value))))
        low, high = -int(xp.amax(-value, every, False)), int(xp.amax(value, every, False))
        if low < -n or high >= n:  # another example's entries would be read
            raise IndexError(f"expected indices from {-n} to {n - 1}, got {low} to {high}")
    first = xp.indices(size, value) * n
    wrapped = where(indices < 0, indices + n, indices)
    rows = wrapped + first.reshape((size,) + (1,) * (len(shape_of(indices)) - 1))
    # what is recorded runs again with other indices, which nobody has looked at: one out of bounds must stay so
    traced = isinstance(indices, Tracer)
    return where((indices >= n) | (indices < -n), size * n, rows) if traced else rows


def _take_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    (x, indices), axis = args, params["axis"]
    if not mapped[1]:
        return take(x, indices, axis=axis + 1)
    if not mapped[0]:
        return move_axes(take(x, indices, axis=axis), axis, 1, 0)
    n = shape_of(x)[axis + 1]
    x = move_axes(x, axis + 1, 1, 1)
    rows = reshape(x, shape=(size * n, *shape_of(x)[2:]))
    y = take(rows, in_one_row(indices, size, n), axis=0)
    return move_axes(y, 1, len(shape_of(indices)) - 1, axis + 1)


def _scatter_batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
    (g, indices), axis, n = args, params["axis"], params["size"]
    g = with_examples(size, mapped[0], g)
    if not mapped[1]:
        return scatter_add(g, indices, axis=axis + 1, size=n)
    count = len(shape_of(indices)) - 1
    g = move_axes(g, axis + 1, count, 1)
    y = scatter_add(g, in_one_row(indices, size, n), axis=0, size=size * n)
    return move_axes(reshape(y, shape=(size, n, *shape_of(y)[1:])), 1, 1, axis + 1)


def _lines_batch(primitive: str) -> Any:
    def batch(size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Array:
        x, indices = (with_examples(size, m, a) for m, a in zip(mapped, args, strict=True))
        return PRIMITIVES[primitive](x, indices, **(params | {"axis": params["axis"] + 1}))

    return batch


take: Primitive = Primitive(
    "take",
    lambda xp, x, indices, axis: xp.take(x, indices, axis),
    jvp=lambda y, xs, ts, axis: take(ts[0], xs[1], axis=axis),
    vjp=lambda i, g, y, x, indices, axis: scatter_add(g, indices, axis=axis, size=shape_of(x)[axis]),
    batch=_take_batch,
    source="np.take({0}, {1}, axis={axis})",
    cases=(
        case(real(3, 2), index(3, 4), axis=0),
        case(real(2, 3, 2), index(3, 2, 2), axis=1),
        case(real(4), index(4, 3), axis=0),
    ),
)

scatter_add: Primitive = Primitive(
    "scatter_add",
    lambda xp, g, indices, axis, size: xp.scatter_add(g, indices, axis, size),
    jvp=lambda y, xs, ts, axis, size: scatter_add(ts[0], xs[1], axis=axis, size=size),
    vjp=lambda i, c, y, g, indices, axis, size: take(c, indices, axis=axis),
    batch=_scatter_batch,
    source="scatter_add({0}, {1}, {axis}, {size})",
    cases=(case(real(4, 2), index(3, 4), axis=0, size=3), case(real(2, 2, 2, 2), index(3, 2, 2), axis=1, size=3)),
)

take_along_axis: Primitive = Primitive(
    "take_along_axis",
    lambda xp, x, indices, axis: xp.take_along_axis(x, indices, axis),
    jvp=lambda y, xs, ts, axis: take_along_axis(ts[0], xs[1], axis=axis),
    vjp=lambda i, g, y, x, indices, axis: put_along_axis_add(g, indices, axis=axis, size=shape_of(x)[axis]),
    batch=_lines_batch("take_along_axis"),
    source="np.take_along_axis({0}, {1}, axis={axis})",
    cases=(case(real(2, 3), index(3, 2, 1), axis=1), case(real(3, 2), index(3, 4, 2), axis=0)),
)

put_along_axis_add: Primitive = Primitive(
    "put_along_axis_add",
    lambda xp, g, indices, axis, size: xp.put_along_axis_add(g, indices, axis, size),
    jvp=lambda y, xs, ts, axis, size: put_along_axis_add(ts[0], xs[1], axis=axis, size=size),
    vjp=lambda i, c, y, g, indices, axis, size: take_along_axis(c, indices, axis=axis),
    batch=_lines_batch("put_along_axis_add"),
    source="put_along_axis_add({0}, {1}, {axis}, {size})",
    cases=(case(real(2, 1), index(3, 2, 1), axis=1, size=3), case(real(4, 2), index(3, 4, 2), axis=0, size=3)),
)
