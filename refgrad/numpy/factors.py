"""What comes back of a matrix in several parts, by the names that NumPy gives them."""

from __future__ import annotations

from typing import NamedTuple

from refgrad.typing import Array

__all__ = ["EighResult", "LstsqResult", "QRResult", "SlogdetResult"]


class SlogdetResult(NamedTuple):
    """The sign of a determinant and the logarithm of its absolute value.

    Attributes
    ----------
    sign, logabsdet : array, shape (...)
    """

    sign: Array
    logabsdet: Array


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, and unit eigenvectors as columns.

    Attributes
    ----------
    eigenvalues : array, shape (..., n)
    eigenvectors : array, shape (..., n, n)
    """

    eigenvalues: Array
    eigenvectors: Array


class LstsqResult(NamedTuple):
    """A solution, sums of squared residuals, the rank and the singular values.

    Attributes
    ----------
    x : array, shape (n,) or (n, k)
    residuals : array, shape (k,) or (0,)
        k is 1 for one right-hand side. None unless m > n, for then all are zero.
    rank : int
    s : array, shape (min(m, n),)
        In descending order; None on exact arrays.
    """

    x: Array
    residuals: Array
    rank: int
    s: Array


class QRResult(NamedTuple):
    """Q with orthonormal columns and the triangle R.

    Attributes
    ----------
    Q : array, shape (..., m, min(m, n))
    R : array, shape (..., min(m, n), n)
    """

    Q: Array
    R: Array
