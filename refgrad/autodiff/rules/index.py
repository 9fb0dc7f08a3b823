"""Gathering elements by integer arrays, and the transposes, which add at repeated indices.

`take` and `scatter_add` work along one axis with one array of indices; the `along_axis` pair works with an index for
every line. Indices are never differentiated.
"""

from __future__ import annotations

from refgrad.autodiff.primitive import Primitive, case, index, real
from refgrad.backend import shape_of

__all__ = ["put_along_axis_add", "scatter_add", "take", "take_along_axis"]

take: Primitive = Primitive(
    "take",
    lambda xp, x, indices, axis: xp.take(x, indices, axis),
    jvp=lambda y, xs, ts, axis: take(ts[0], xs[1], axis=axis),
    vjp=lambda i, g, y, x, indices, axis: scatter_add(g, indices, axis=axis, size=shape_of(x)[axis]),
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
    source="scatter_add({0}, {1}, {axis}, {size})",
    cases=(case(real(4, 2), index(3, 4), axis=0, size=3), case(real(2, 2, 2, 2), index(3, 2, 2), axis=1, size=3)),
)

take_along_axis: Primitive = Primitive(
    "take_along_axis",
    lambda xp, x, indices, axis: xp.take_along_axis(x, indices, axis),
    jvp=lambda y, xs, ts, axis: take_along_axis(ts[0], xs[1], axis=axis),
    vjp=lambda i, g, y, x, indices, axis: put_along_axis_add(g, indices, axis=axis, size=shape_of(x)[axis]),
    source="np.take_along_axis({0}, {1}, axis={axis})",
    cases=(case(real(2, 3), index(3, 2, 1), axis=1), case(real(3, 2), index(3, 4, 2), axis=0)),
)

put_along_axis_add: Primitive = Primitive(
    "put_along_axis_add",
    lambda xp, g, indices, axis, size: xp.put_along_axis_add(g, indices, axis, size),
    jvp=lambda y, xs, ts, axis, size: put_along_axis_add(ts[0], xs[1], axis=axis, size=size),
    vjp=lambda i, c, y, g, indices, axis, size: take_along_axis(c, indices, axis=axis),
    source="put_along_axis_add({0}, {1}, {axis}, {size})",
    cases=(case(real(2, 1), index(3, 2, 1), axis=1, size=3), case(real(4, 2), index(3, 4, 2), axis=0, size=3)),
)
