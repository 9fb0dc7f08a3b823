"""Functions that join arrays end to end or side by side, and those that part them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.rules import shape as rules
from refgrad.autodiff.rules.scan import along
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.reductions import axes_of
from refgrad.numpy.shapes import atleast_1d, atleast_2d, atleast_3d, expand_dims, ravel, reshape, transpose
from refgrad.typing import Array

__all__ = [
    "append", "array_split", "column_stack", "concat", "concatenate", "dsplit", "dstack", "hsplit", "hstack",
    "split", "stack", "unstack", "vsplit", "vstack",
]  # fmt: skip


def concatenate(parts: Sequence[Any], axis: int | None = 0) -> Array:
    """The parts end to end along `axis`; raveled first if `axis` is None."""
    arrays = [asarray(p) for p in parts]
    if not arrays:
        raise ShapeError("concatenate: expected at least one array, got none")
    if axis is None:
        arrays, axis = [ravel(a) for a in arrays], 0
    place = axes_of(arrays[0], axis, "concatenate")[0]
    rests = {(*shape_of(a)[:place], -1, *shape_of(a)[place + 1 :]) for a in arrays}
    if len(rests) != 1:
        raise ShapeError(
            f"concatenate: expected shapes that differ along axis {axis} only, got {[shape_of(a) for a in arrays]}"
        )
    return rules.concat(*arrays, axis=place)


concat = concatenate


def stack(parts: Sequence[Any], axis: int = 0) -> Array:
    """Arrays of one shape side by side along a new axis in the place `axis`."""
    arrays = [asarray(p) for p in parts]
    if len({shape_of(a) for a in arrays}) != 1:
        raise ShapeError(f"stack: expected arrays of one shape, got {[shape_of(a) for a in arrays]}")
    return concatenate([expand_dims(a, axis) for a in arrays], axis)


def hstack(parts: Sequence[Any]) -> Array:
    """The parts end to end along the second axis; numbers and vectors along their only one."""
    arrays = [atleast_1d(p) for p in parts]
    return concatenate(arrays, 0 if arrays and len(shape_of(arrays[0])) == 1 else 1)


def vstack(parts: Sequence[Any]) -> Array:
    """The parts end to end along the first axis; numbers and vectors are rows."""
    return concatenate([atleast_2d(p) for p in parts], 0)


def dstack(parts: Sequence[Any]) -> Array:
    """The parts end to end along the third axis, with the axes of `atleast_3d`."""
    return concatenate([atleast_3d(p) for p in parts], 2)


def column_stack(parts: Sequence[Any]) -> Array:
    """Vectors as the columns of a matrix, beside the columns of matrices."""
    arrays = [asarray(p) for p in parts]
    return concatenate([a if len(shape_of(a)) > 1 else transpose(atleast_2d(a)) for a in arrays], 1)


def append(x: Any, values: Any, axis: int | None = None) -> Array:
    """`values` after x along `axis`; both raveled if `axis` is None."""
    return concatenate([asarray(x), asarray(values)], axis)


def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts of x along `axis`: so many of nearly equal length, the longer ones first, or cut before given places."""
    x = asarray(x)
    place = axes_of(x, axis, "array_split")[0]
    n = shape_of(x)[place]
    if np.ndim(indices_or_sections) == 0:
        count = int(indices_or_sections)
        if count < 1:
            raise ShapeError(f"array_split: expected at least one part, got {count}")
        length, longer = divmod(n, count)
        cuts = [k * length + min(k, longer) for k in range(1, count)]
    else:
        cuts = [int(k) for k in indices_or_sections]
    spans = zip([0, *cuts], [*cuts, n], strict=True)
    # cuts beyond the end, or counted from it, as slices have them
    return [along(x, place, slice(*slice(start, stop).indices(n)[:2])) for start, stop in spans]


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """Parts of x along `axis`: so many of equal length, or cut before given places."""
    x = asarray(x)
    n = shape_of(x)[axes_of(x, axis, "split")[0]]
    if np.ndim(indices_or_sections) == 0 and (indices_or_sections < 1 or n % int(indices_or_sections)):
        raise ShapeError(f"split: {n} elements along axis {axis} are not {indices_or_sections} equal parts")
    return array_split(x, indices_or_sections, axis)


def hsplit(x: Any, indices_or_sections: Any) -> list[Array]:
    """Parts of x along its second axis, or along the only one of a vector."""
    return split(x, indices_or_sections, 0 if len(shape_of(asarray(x))) == 1 else 1)


def vsplit(x: Any, indices_or_sections: Any) -> list[Array]:
    """Parts of x, of at least two axes, along the first."""
    _at_least(2, x, "vsplit")
    return split(x, indices_or_sections, 0)


def dsplit(x: Any, indices_or_sections: Any) -> list[Array]:
    """Parts of x, of at least three axes, along the third."""
    _at_least(3, x, "dsplit")
    return split(x, indices_or_sections, 2)


def _at_least(ndim: int, x: Any, what: str) -> None:
    if len(shape_of(asarray(x))) < ndim:
        raise ShapeError(f"{what}: expected at least {ndim} axes, got shape {shape_of(asarray(x))}")


def unstack(x: Any, *, axis: int = 0) -> tuple[Array, ...]:
    """The arrays that `stack` along `axis` would join to x."""
    x = asarray(x)
    place = axes_of(x, axis, "unstack")[0]
    dims = shape_of(x)
    rest = dims[:place] + dims[place + 1 :]
    return tuple(reshape(along(x, place, slice(k, k + 1)), rest) for k in range(dims[place]))
