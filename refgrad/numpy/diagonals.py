"""Diagonals of matrices: taken out, put in, summed; and what lies on one side of them.

A diagonal of an (n, m) matrix is every (m + 1)-th of its elements in row-major order, so it is a slice of the raveled
matrix and a vector on it is that slice's transpose.
"""

from __future__ import annotations

from typing import Any

from refgrad.autodiff.rules import shape as rules
from refgrad.backend import shape_of
from refgrad.errors import ShapeError
from refgrad.numpy.conversion import asarray
from refgrad.numpy.reductions import sum
from refgrad.numpy.shapes import axis_of, reshape, transpose
from refgrad.typing import Array

__all__ = ["diag", "diagonal", "trace", "tril", "triu"]


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The diagonal ``x[i, i + offset]`` along two axes of x, as a new last axis; empty beyond the corners."""
    x = asarray(x)
    ndim = len(shape_of(x))
    first, second = axis_of(axis1, ndim, "diagonal"), axis_of(axis2, ndim, "diagonal")
    if first == second:
        raise ShapeError(f"diagonal: expected two different axes of shape {shape_of(x)}, got {axis1} and {axis2}")
    x = transpose(x, (*(a for a in range(ndim) if a not in (first, second)), first, second))
    *lead, n, m = shape_of(x)
    flat = reshape(x, (*lead, n * m))
    return rules.slice_(flat, index=(*(slice(None) for _ in lead), _along_diagonal(n, m, offset)))


def _along_diagonal(n: int, m: int, offset: int) -> slice:
    """Where the diagonal of an (n, m) matrix lies among its elements in row-major order."""
    start, count = (offset, min(n, m - offset)) if offset >= 0 else (-offset * m, min(n + offset, m))
    return slice(start, start + (count - 1) * (m + 1) + 1, m + 1) if count > 0 else slice(0, 0, m + 1)


def diag(x: Any, k: int = 0) -> Array:
    """The k-th diagonal of a matrix, or the square matrix of zeros with the vector x on its k-th diagonal."""
    x = asarray(x)
    if len(shape_of(x)) == 2:
        return diagonal(x, k)
    if len(shape_of(x)) != 1:
        raise ShapeError(f"diag: expected a vector or a matrix, got shape {shape_of(x)}; for a stack use diagonal")
    n = shape_of(x)[0] + abs(k)
    flat = rules.pad(x, shape=(n * n,), index=(_along_diagonal(n, n, k),))
    return reshape(flat, (n, n))


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The sum of a diagonal along two axes of x."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


def tril(x: Any, k: int = 0) -> Array:
    """Matrices with zeros above their k-th diagonal; what was there, NaN too, has no influence."""
    return _triangle(x, "tril", k)


def triu(x: Any, k: int = 0) -> Array:
    """Matrices with zeros below their k-th diagonal; what was there, NaN too, has no influence."""
    return _triangle(x, "triu", k)


def _triangle(x: Any, part: str, k: int) -> Array:
    x = asarray(x)
    if len(shape_of(x)) < 2:
        raise ShapeError(f"{part}: expected a matrix or a stack of them, got shape {shape_of(x)}")
    return rules.tri_mask(x, part=part, k=k)
