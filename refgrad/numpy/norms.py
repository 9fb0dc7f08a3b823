"""Norms of vectors and matrices, and singular values; a Euclidean norm has gradient 0 at 0."""

from __future__ import annotations

import math
from typing import Any

from refgrad.autodiff.primitive import keepdims_shape
from refgrad.autodiff.rules import norm as rules
from refgrad.autodiff.rules import shape, spectral
from refgrad.autodiff.rules.matrix import matrix_transpose
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy.conversion import floating
from refgrad.numpy.elementwise import abs
from refgrad.numpy.indexing import getitem
from refgrad.numpy.reductions import amax, amin, axes_of, sum
from refgrad.numpy.shapes import moveaxis, ravel, reshape
from refgrad.typing import Array, Axes

__all__ = ["matrix_norm", "norm", "svdvals", "vector_norm"]


def norm(x: Any, ord: Any = None, axis: Axes = None, keepdims: bool = False) -> Array:
    """The norm of all of x, or along an axis of vectors or two axes of matrices, as in NumPy.

    Parameters
    ----------
    x : array
    ord : None, 1, 2, inf, -inf, "fro" or "nuc"
        None is the Euclidean norm of all elements. Of vectors: 1, 2, inf, -inf. Of matrices: "fro", "nuc" (the sum of
        the singular values), 1, 2, inf, -inf.
    axis : None, int, or pair of ints
        None: all axes if `ord` is None, else x is a vector or a matrix.
    keepdims : bool
        Whether the axes stay, with length 1.
    """
    x = floating(x)
    dims = shape_of(x)
    if axis is None and ord is None:
        y = rules.norm(ravel(x), axis=(0,), keepdims=False)
        return reshape(y, (1,) * len(dims)) if keepdims else y
    if axis is None and len(dims) not in (1, 2):
        raise ShapeError(f"norm: expected a vector or a matrix for ord={ord!r}, got shape {dims}; say which axis")
    axes = tuple(range(len(dims))) if axis is None else axis
    if isinstance(axes, int) or len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=2 if ord is None else ord)
    if len(axes) != 2:
        raise ShapeError(f"norm: expected one axis or two, got {axis!r}")
    axes_of(x, axes, "norm")
    rows, columns = (a % len(dims) for a in axes)
    # the columns' axis first, lest it moves under the rows'
    matrices = moveaxis(moveaxis(x, columns, -1), rows - (columns < rows), -2)
    y = matrix_norm(matrices, ord="fro" if ord is None else ord)
    return shape.reshape(y, shape=keepdims_shape(dims, (rows, columns))) if keepdims else y


def vector_norm(x: Any, *, axis: Axes = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """The norms of vectors along `axis`, or of all elements; ord 1, 2, inf or -inf."""
    x = floating(x)
    axes = axes_of(x, axis, "vector_norm")
    if ord == math.inf and 0 in shape_of(x):
        ord = 1  # which is 0 as well
    if ord == 2:
        return rules.norm(x, axis=axes, keepdims=keepdims)
    if ord == 1:
        return sum(abs(x), axes, keepdims=keepdims)
    if ord in (math.inf, -math.inf):
        return (amax if ord > 0 else amin)(abs(x), axes, keepdims=keepdims)
    raise InvalidInput(f"norm of vectors: expected ord 1, 2, inf or -inf, got {ord!r}")


def matrix_norm(x: Any, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """The norms of matrices, over the last two axes; ord "fro", "nuc", 1, 2, inf or -inf."""
    x = floating(x)
    n = len(shape_of(x))
    if n < 2:
        raise ShapeError(f"matrix_norm: expected shape (..., m, n), got {shape_of(x)}")
    if ord in (1, 2, "nuc", math.inf) and 0 in shape_of(x)[-2:]:
        ord = "fro"  # which is 0 as well
    if ord == "fro":
        return rules.norm(x, axis=(n - 2, n - 1), keepdims=keepdims)
    if ord in ("nuc", 2):
        y = (sum if ord == "nuc" else amax)(svdvals(x), axis=-1)
    elif ord in (1, math.inf, -math.inf):
        lines = sum(abs(x), n - 2 if ord == 1 else n - 1)
        y = (amin if ord == -math.inf else amax)(lines, axis=-1)
    else:
        raise InvalidInput(f"norm of matrices: expected ord 'fro', 'nuc', 1, 2, inf or -inf, got {ord!r}")
    return shape.reshape(y, shape=(*shape_of(x)[:-2], 1, 1)) if keepdims else y


def svdvals(x: Any) -> Array:
    """The singular values in descending order, shape (..., min(m, n)).

    The largest eigenvalues of ``[[0, x], [x^T, 0]]``, whose eigenvalues are the singular values, their negatives and
    zeros: small ones keep the absolute accuracy of the large ones, which the eigenvalues of ``x^T x`` lose. Their
    derivatives are those of eigenvalues: second ones are NaN where two are equal, and one that is 0 has none.

    Parameters
    ----------
    x : array, shape (..., m, n)
    """
    x = floating(x)
    if len(shape_of(x)) < 2:
        raise ShapeError(f"svdvals: expected shape (..., m, n), got {shape_of(x)}")
    m, n = shape_of(x)[-2:]
    spans = (*(slice(None),) * (len(shape_of(x)) - 2), slice(0, m), slice(m, m + n))
    corner = shape.pad(x, shape=(*shape_of(x)[:-2], m + n, m + n), index=spans)
    count = min(m, n)
    ascending = spectral.eigenvalues(corner + matrix_transpose(corner), start=m + n - count, stop=m + n, uplo="L")
    return getitem(ascending, (..., slice(None, None, -1)))
