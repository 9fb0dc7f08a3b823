"""Vectors and matrices put together from numbers and vectors of one kind: rationals, balls or another's arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refgrad.backend import of
from refgrad.typing import Array, Scalar

__all__ = ["identity", "matrix", "rows", "total", "vector"]


def vector(numbers: Sequence[Scalar]) -> Array:
    """An array of shape (n,) of n arrays of shape ()."""
    xp = of(*numbers)
    return xp.concat([xp.reshape(number, (1,)) for number in numbers], 0)


def matrix(order: int, *numbers: Scalar) -> Array:
    """Numbers in row-major order as an array of shape (order, order)."""
    return of(*numbers).reshape(vector(numbers), (order, order))


def rows(vectors: Sequence[Array]) -> Array:
    """Vectors of shape (n,) as the rows of an array of shape (k, n); matrices (n, m) as an array (k, n, m)."""
    return of(*vectors).concat([v[None, :] for v in vectors], 0)


def identity(like: Array) -> Array:
    """The identity matrix of as many rows as a vector or a matrix has."""
    return of(like).onehot(np.arange(len(like)), len(like), like)


def total(terms: Sequence[Array]) -> Array:
    """The sum of arrays of one shape."""
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result
