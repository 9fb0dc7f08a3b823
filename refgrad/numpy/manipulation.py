"""Arrays rearranged: tiled, repeated, rolled, padded, their differences and grids."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import primal
from refgrad.autodiff.rules import shape as rules
from refgrad.autodiff.rules.scan import along
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.indexing import take
from refgrad.numpy.joining import concatenate
from refgrad.numpy.reductions import axes_of
from refgrad.numpy.shapes import flip, ravel, reshape, swapaxes
from refgrad.typing import Array

__all__ = ["diff", "meshgrid", "pad", "repeat", "roll", "rot90", "tile"]

BY_INDEX = ("edge", "reflect", "symmetric", "wrap")
"""The modes of `pad` that fill the border with elements of x."""


def tile(x: Any, reps: int | Sequence[int]) -> Array:
    """Copies of x side by side: ``reps[i]`` along axis i, where x and `reps` are aligned at their last axes."""
    x = asarray(x)
    counts = tuple(int(r) for r in np.ravel(reps))
    dims = shape_of(x)
    rank = max(len(dims), len(counts))
    counts, dims = (1,) * (rank - len(counts)) + counts, (1,) * (rank - len(dims)) + dims
    if min(counts, default=0) < 0:
        raise ShapeError(f"tile: expected reps that are not negative, got {reps!r}")
    pairs = list(zip(counts, dims, strict=True))
    apart = rules.reshape(x, shape=tuple(k for _, n in pairs for k in (1, n)))
    copies = rules.broadcast_to(apart, shape=tuple(k for pair in pairs for k in pair))
    return rules.reshape(copies, shape=tuple(r * n for r, n in pairs))


def repeat(x: Any, repeats: int | Sequence[int], axis: int | None = None) -> Array:
    """Every element along `axis` so many times in a row, or those of the raveled x; one count, or one for each."""
    x = asarray(x)
    if axis is None:
        x, axis = ravel(x), 0
    place = axes_of(x, axis, "repeat")[0]
    dims = shape_of(x)
    counts = np.ravel(repeats)
    if min(counts.tolist(), default=0) < 0 or counts.dtype.kind not in "iub" or counts.size not in (1, dims[place]):
        raise ShapeError(f"repeat: expected a count, or {dims[place]} of them, none negative; got {repeats!r}")
    if counts.size != 1:
        return take(x, np.repeat(np.arange(dims[place]), counts), place)
    count, (lead, tail) = int(counts[0]), (dims[: place + 1], dims[place + 1 :])
    copies = rules.broadcast_to(rules.reshape(x, shape=(*lead, 1, *tail)), shape=(*lead, count, *tail))
    return rules.reshape(copies, shape=(*lead[:-1], lead[-1] * count, *tail))


def roll(x: Any, shift: int | Sequence[int], axis: int | Sequence[int] | None = None) -> Array:
    """x with its elements moved on by `shift` places along `axis`, round the end; the raveled x without an axis."""
    x = asarray(x)
    if axis is None:
        return reshape(roll(ravel(x), shift, 0), shape_of(x))
    shifts, axes = np.broadcast_arrays(np.ravel(shift), np.ravel(axis))
    total = dict.fromkeys(axes.tolist(), 0)
    for by, a in zip(shifts.tolist(), axes.tolist(), strict=True):
        total[a] += by  # an axis named twice is shifted twice
    for a, by in total.items():
        place = axes_of(x, a, "roll")[0]
        n = shape_of(x)[place]
        if n and by % n:
            x = rules.concat(along(x, place, slice(-by % n, None)), along(x, place, slice(-by % n)), axis=place)
    return x


def rot90(x: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """x turned by k right angles in the plane of two axes, from the first towards the second."""
    x = asarray(x)
    first, second = (axes_of(x, a, "rot90")[0] for a in axes)
    if first == second:
        raise ShapeError(f"rot90: expected two different axes, got {tuple(axes)}")
    turns = k % 4
    if turns == 2:
        return flip(x, (first, second))
    if turns == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second) if turns else x


def pad(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Array:
    """x with a border round it.

    Parameters
    ----------
    x : array
    pad_width : int, (before, after), or a pair for each axis, or a dictionary of those by axis
    mode : str
        ``"constant"``: `constant_values`; ``"edge"``, ``"reflect"``, ``"symmetric"`` or ``"wrap"``: elements of x.
    constant_values : numbers in the same forms as `pad_width`
        Without a derivative.

    Returns
    -------
    array
        In the dtype of x.

    Raises
    ------
    InvalidInput
        If the mode is another of NumPy's, which would need statistics of x.
    """
    x = asarray(x)
    widths = _widths(pad_width, x)
    if mode in BY_INDEX:
        for place, (n, width) in enumerate(zip(shape_of(x), widths, strict=True)):
            if width != [0, 0]:  # NumPy itself says which element stands where
                x = take(x, np.pad(np.arange(n), width, mode=mode), place)  # type: ignore[call-overload]
        return x
    if mode != "constant":
        raise InvalidInput(f"pad: expected mode constant, {', '.join(BY_INDEX)}; got {mode!r}")
    constants = np.broadcast_to(np.asarray(constant_values), (len(widths), 2)).tolist()
    if not any(c != 0 for pair in constants for c in pair):
        return add_border(x, widths, 0)
    for place, pair in enumerate(constants):
        x = _surround(x, place, widths[place], pair)
    return x


def add_border(x: Array, widths: Sequence[Sequence[int]], value: Any) -> Array:
    """x with so many layers of `value` before and after it along every axis; of anything but 0, one axis at a time."""
    if not isinstance(value, int) or value != 0:
        for place, width in enumerate(widths):
            x = _surround(x, place, width, (value, value))
        return x
    dims = shape_of(x)
    spans = tuple(slice(before, before + n) for (before, _), n in zip(widths, dims, strict=True))
    total = tuple(before + n + after for (before, after), n in zip(widths, dims, strict=True))
    return x if total == dims else rules.pad(x, shape=total, index=spans)


def _surround(x: Array, place: int, width: Sequence[int], values: Sequence[Any]) -> Array:
    """x between layers of two numbers along the axis `place`."""
    before, after = ([_block(x, place, n, v)] if n else [] for n, v in zip(width, values, strict=True))
    return concatenate([*before, x, *after], place) if before or after else x


def _widths(pad_width: Any, x: Array) -> list[list[int]]:
    """The width before and after x along every axis."""
    rank = len(shape_of(x))
    if isinstance(pad_width, dict):
        widths = [[0, 0] for _ in range(rank)]
        for axis, width in pad_width.items():
            widths[axes_of(x, axis, "pad")[0]] = np.broadcast_to(width, (2,)).tolist()
    else:
        given = np.asarray(pad_width)
        try:
            widths = np.broadcast_to(given, (rank, 2)).tolist()
        except ValueError:
            raise ShapeError(f"pad: expected a width, or a pair, for each of {rank} axes; got {pad_width!r}") from None
    if not all(isinstance(n, int) and n >= 0 for width in widths for n in width):
        raise ShapeError(f"pad: expected integer widths that are not negative, got {pad_width!r}")
    return widths


def _block(x: Array, place: int, n: int, value: Any) -> Array:
    """`n` layers of `value` along the axis `place` of x, in the dtype of x."""
    dims = shape_of(x)
    plain = primal(x)
    return backend.of(plain).zeros((*dims[:place], n, *dims[place + 1 :]), plain) + value


def diff(x: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Array:
    """The n-th differences of neighbours along `axis`; `prepend` and `append` are put before and after x first."""
    x = asarray(x)
    place = axes_of(x, axis, "diff")[0]
    if n < 0:
        raise InvalidInput(f"diff: expected n of at least 0, got {n}")
    if n == 0:
        return x
    ends = [asarray(e) if shape_of(asarray(e)) or e is None else _block(x, place, 1, e) for e in (prepend, append)]
    parts = [p for p in (ends[0], x, ends[1]) if p is not None]
    y = concatenate(parts, place) if len(parts) > 1 else x
    for _ in range(n):
        after, before = along(y, place, slice(1, None)), along(y, place, slice(None, -1))
        y = after ^ before if getattr(getattr(y, "dtype", None), "kind", "f") == "b" else after - before
    return y


def meshgrid(*xs: Any, indexing: str = "xy", sparse: bool = False) -> tuple[Array, ...]:
    """The coordinates of the points of a grid, an array for each vector; with "xy" the first two axes are exchanged."""
    if indexing not in ("xy", "ij"):
        raise InvalidInput(f"meshgrid: expected indexing 'xy' or 'ij', got {indexing!r}")
    vectors = [ravel(x) for x in xs]
    places = list(range(len(vectors)))
    if indexing == "xy" and len(places) > 1:
        places[:2] = [1, 0]
    total = [0] * len(vectors)
    for place, v in zip(places, vectors, strict=True):
        total[place] = math.prod(shape_of(v))
    lines = [
        rules.reshape(v, shape=tuple(total[p] if i == p else 1 for i in range(len(total))))
        for p, v in zip(places, vectors, strict=True)
    ]
    return tuple(lines) if sparse else tuple(rules.broadcast_to(v, shape=tuple(total)) for v in lines)
