"""Sliding windows, from which convolution and pooling are made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.rules import shape as shapes
from refgrad.autodiff.rules import window
from refgrad.autodiff.rules.shape import inverse_permutation
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.typing import Array, Shape

__all__ = ["fold", "windows"]

Lengths = int | Sequence[int]
"""One length for each windowed axis; an int stands for all of them."""


def windows(
    x: Any, shape: Lengths, *, strides: Lengths = 1, dilation: Lengths = 1, axes: Lengths | None = None
) -> Array:
    """All windows of a given shape: ``y[..., p, q] = x[..., stride p + dilation q]`` for one axis, and so for several.

    Parameters
    ----------
    x : array
        Of any shape.
    shape : int or sequence of ints
        The lengths of a window.
    strides, dilation : int or sequence of ints
        How far apart the windows start, and how far apart the elements of a window lie.
    axes : int or sequence of ints, optional
        The axes that the windows slide along, one for each length in `shape`; the last ones if None.

    Returns
    -------
    array
        The shape of x with the number of windows in place of each length, then `shape`. A read-only view for NumPy.

    Raises
    ------
    ShapeError
        If a window is longer than its axis, or the lengths do not belong to one another.

    Examples
    --------
    >>> import numpy as np
    >>> import refgrad.numpy as rnp
    >>> rnp.windows(np.array([1.0, 2.0, 3.0, 4.0]), 2, strides=2).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    x = asarray(x)
    lengths = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    order = _order(len(shape_of(x)), len(lengths), axes, "windows")
    lengths, steps, gaps = _settings(lengths, strides, dilation, "windows")
    size = tuple(shape_of(x)[a] for a in order[len(order) - len(lengths) :])
    if any(d * (w - 1) >= n for n, w, d in zip(size, lengths, gaps, strict=True)):
        raise ShapeError(
            f"windows: expected windows that fit into lengths {size}, got shape {lengths} with dilation {gaps}"
        )
    y = window.windows(_permute(x, order), shape=lengths, strides=steps, dilation=gaps)
    kept = len(shape_of(x))
    return _permute(y, (*inverse_permutation(order), *range(kept, kept + len(lengths))))


def fold(g: Any, size: Lengths, *, strides: Lengths = 1, dilation: Lengths = 1, axes: Lengths | None = None) -> Array:
    """The transpose of `windows`: zeros with the axes of x, every window added in its place.

    Parameters
    ----------
    g : array
        Windows, of the shape that `windows` gives.
    size : int or sequence of ints
        The lengths, in x, of the axes that the windows slide along.
    strides, dilation, axes : as in `windows`

    Returns
    -------
    array
        Of the shape of x. What no window covers is 0.

    Raises
    ------
    ShapeError
        If g does not hold the windows of an array with these lengths.

    Examples
    --------
    >>> import numpy as np
    >>> import refgrad.numpy as rnp
    >>> rnp.fold(np.ones((3, 2)), 4).tolist()  # how many windows cover each element
    [1.0, 2.0, 2.0, 1.0]
    """
    g = asarray(g)
    lengths = (size,) if isinstance(size, (int, np.integer)) else tuple(size)
    k = len(lengths)
    kept = len(shape_of(g)) - k
    order = _order(kept, k, axes, "fold")
    lengths, steps, gaps = _settings(lengths, strides, dilation, "fold")
    found = tuple(shape_of(g)[a] for a in order[kept - k :])
    held = zip(lengths, shape_of(g)[kept:], steps, gaps, strict=True)
    expected = tuple((n - d * (w - 1) - 1) // s + 1 for n, w, s, d in held)
    if found != expected or min(expected) < 1:
        raise ShapeError(
            f"fold: windows of shape {shape_of(g)[kept:]} with strides {steps} and dilation {gaps} lie in {expected} "
            f"places of lengths {lengths}; expected as many windows, got {found}"
        )
    y = window.fold(_permute(g, (*order, *range(kept, kept + k))), size=lengths, strides=steps, dilation=gaps)
    return _permute(y, inverse_permutation(order))


def sliding_window_view(x: Any, window_shape: Lengths, axis: Lengths | None = None) -> Array:
    """NumPy's name for `windows` with strides 1; along all axes if `axis` is None."""
    return windows(x, window_shape, axes=range(len(shape_of(asarray(x)))) if axis is None else axis)


def _order(ndim: int, k: int, axes: Lengths | None, what: str) -> Shape:
    """The axes of an array, those windowed last."""
    given = range(-k, 0) if axes is None else (axes,) if isinstance(axes, (int, np.integer)) else tuple(axes)
    if len(given) != k or k == 0 or not all(-ndim <= a < ndim for a in given):
        raise ShapeError(f"{what}: expected {k or 'some'} of {ndim} axes, one for each length; got {tuple(given)}")
    last = tuple(int(a) % ndim for a in given)
    if len(set(last)) != k:
        raise ShapeError(f"{what}: expected different axes, got {tuple(given)}")
    return (*(a for a in range(ndim) if a not in last), *last)


def _settings(lengths: Sequence[int], strides: Lengths, dilation: Lengths, what: str) -> tuple[Shape, Shape, Shape]:
    """Lengths, strides and dilation as tuples of positive ints, one for each axis."""
    k = len(lengths)
    full = [(n,) * k if isinstance(n, (int, np.integer)) else tuple(n) for n in (strides, dilation)]
    if any(len(n) != k or min(n) < 1 for n in (lengths, *full)):
        raise ShapeError(
            f"{what}: expected positive lengths, strides and dilation for {k} axes; "
            f"got {tuple(lengths)}, {strides} and {dilation}"
        )
    first, second, third = (tuple(int(n) for n in given) for given in (lengths, *full))
    return first, second, third


def _permute(x: Array, order: Shape) -> Array:
    return x if order == tuple(range(len(order))) else shapes.transpose(x, axes=order)
