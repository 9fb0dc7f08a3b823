"""Linear algebra by NumPy's names, for stacks of matrices: the last two axes are the matrices'.

Functions of symmetric matrices (`cholesky`, `eigh`, `eigvalsh`) are functions of the symmetric part ``(a + a^T) / 2``,
so their gradients are symmetric; NumPy's read one triangle, which is the same where `a` is symmetric.
Every other name is numpy.linalg's own, for plain arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from refgrad.autodiff.rules import determinant, linalg, orthogonal, shape, spectral, triangular
from refgrad.autodiff.rules.matrix import matrix_transpose
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, ShapeError
from refgrad.numpy import diagonals
from refgrad.numpy.conversion import asarray, floating, zeros_like
from refgrad.numpy.indexing import getitem
from refgrad.numpy.joining import concatenate
from refgrad.numpy.norms import matrix_norm, norm, svdvals, vector_norm
from refgrad.numpy.passthrough import hand_over
from refgrad.numpy.products import cross, matmul, tensordot, vecdot
from refgrad.numpy.products import outer as outer_product
from refgrad.numpy.reductions import sum
from refgrad.typing import Array

__all__ = [
    "EighResult", "QRResult", "SlogdetResult", "cholesky", "cross", "det", "diagonal", "eigh", "eigvalsh", "inv",
    "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm", "outer", "qr", "slogdet",
    "solve", "solve_triangular", "svdvals", "tensordot", "trace", "vecdot", "vector_norm",
]  # fmt: skip


class SlogdetResult(NamedTuple):
    """The sign of a determinant and the logarithm of its absolute value, each of shape (...)."""

    sign: Array
    logabsdet: Array


class EighResult(NamedTuple):
    """Eigenvalues in ascending order, shape (..., n), and unit eigenvectors as columns, shape (..., n, n)."""

    eigenvalues: Array
    eigenvectors: Array


class QRResult(NamedTuple):
    """Q with orthonormal columns, shape (..., m, k), and the triangle R, shape (..., k, n), k = min(m, n)."""

    Q: Array
    R: Array


def _matrices(a: Any, what: str, square: bool = True) -> Array:
    a = asarray(a)
    dims = shape_of(a)
    if len(dims) < 2 or (square and dims[-1] != dims[-2]):
        raise ShapeError(f"{what}: expected shape {'(..., n, n)' if square else '(..., m, n)'}, got {dims}")
    return a


def _solve(primitive: Any, a: Array, b: Array, what: str, **params: Any) -> Array:
    """The solution for a vector b, or for each column of a matrix b."""
    left, right = shape_of(a), shape_of(b)
    if not right or right[-2 if len(right) > 1 else 0] != left[-1]:
        raise ShapeError(f"{what}: expected shapes (..., n, n) and (n,) or (..., n, k), got {left} and {right}")
    if len(right) > 1:
        return primitive(a, b, **params)
    x = primitive(a, shape.reshape(b, shape=(right[0], 1)), **params)
    return shape.reshape(x, shape=shape_of(x)[:-1])


def solve(a: Any, b: Any) -> Array:
    """The solution of ``a @ x = b``; a vector b is one system, a matrix one for each column.

    Raises
    ------
    SingularMatrix
        If a matrix has no inverse.
    """
    return _solve(linalg.solve, _matrices(a, "solve"), asarray(b), "solve")


def solve_triangular(
    a: Any, b: Any, *, trans: int | str = 0, lower: bool = False, unit_diagonal: bool = False
) -> Array:
    """The solution of ``a @ x = b`` by substitution; only one triangle of a is read.

    Parameters
    ----------
    a : array, shape (..., n, n)
    b : array, shape (n,) or (..., n, k)
    trans : 0 or "N", 1 or "T"
        With 1, of ``a.T @ x = b``.
    lower : bool
        Which triangle of a is read. By the elements of the other the derivative is 0.
    unit_diagonal : bool
        Whether the diagonal is taken to be ones and not read.

    Raises
    ------
    SingularMatrix
        If there is a zero on the diagonal.
    """
    a = _matrices(a, "solve_triangular")
    if trans not in (0, 1, "N", "T"):
        raise InvalidInput(f"solve_triangular: expected trans 0, 1, 'N' or 'T', got {trans!r}")
    if trans in (1, "T"):
        a, lower = matrix_transpose(a), not lower
    options = {"lower": bool(lower), "unit_diagonal": bool(unit_diagonal)}
    return _solve(triangular.solve_triangular, a, asarray(b), "solve_triangular", **options)


def inv(a: Any) -> Array:
    """The inverse of a square matrix or of each of a stack. Raises `SingularMatrix`."""
    a = _matrices(a, "inv")
    return linalg.solve(a, determinant.identity(a))


def det(a: Any) -> Array:
    """The determinant, whose derivatives are those of a polynomial: right at singular matrices, to every order.

    The gradient is the transpose of the adjugate. In floats derivatives take a singular value decomposition; one of
    order k of a matrix of order n takes n^k numbers of memory. `slogdet` is the choice where n is large.
    """
    return determinant.det(_matrices(a, "det"))


def slogdet(a: Any) -> SlogdetResult:
    """The sign of the determinant, which has no derivative, and the logarithm of its absolute value."""
    a = _matrices(a, "slogdet")
    return SlogdetResult(determinant.det_sign(a), determinant.log_abs_det(a))


def cholesky(a: Any, *, upper: bool = False) -> Array:
    """The triangle L with positive diagonal of ``a = L @ L.T``; with `upper`, its transpose.

    Of the symmetric part of a. Exact on rationals where L is rational.

    Raises
    ------
    NotPositiveDefinite
        If there is no such triangle.
    NotRational
        If a rational matrix has an L that is not.
    """
    factor = triangular.cholesky(_matrices(floating(a), "cholesky"))
    return matrix_transpose(factor) if upper else factor


def _subset(a: Array, subset_by_index: tuple[int, int] | None, what: str) -> dict[str, int]:
    n = shape_of(a)[-1]
    if subset_by_index is None:
        return {"start": 0, "stop": n}
    first, last = subset_by_index
    if not 0 <= first <= last < n:
        raise InvalidInput(f"{what}: expected subset_by_index with 0 <= first <= last < {n}, got {subset_by_index!r}")
    return {"start": int(first), "stop": int(last) + 1}


def eigvalsh(a: Any, *, subset_by_index: tuple[int, int] | None = None) -> Array:
    """The eigenvalues of the symmetric part of a in ascending order, shape (..., n).

    The first derivative of a function that is symmetric in equal eigenvalues, such as their sum, is right; single ones
    have no derivative. Second derivatives are NaN if two of the eigenvalues are equal; for a function of few of them,
    give `subset_by_index`, as in `eigh`.
    """
    a = _matrices(floating(a), "eigvalsh")
    return spectral.eigenvalues(a, **_subset(a, subset_by_index, "eigvalsh"))


def eigh(a: Any, *, subset_by_index: tuple[int, int] | None = None) -> EighResult:
    """Eigenvalues in ascending order and unit eigenvectors, as columns, of the symmetric part of a.

    Parameters
    ----------
    a : array, shape (..., n, n)
    subset_by_index : pair of ints
        The first and the last of the eigenvalues to be returned, counted from 0, as in SciPy. The eigenvectors of
        equal eigenvalues are not unique, and derivatives of eigenvectors are NaN if one of the eigenvalues returned
        equals another; among those that are not returned, equal ones do no harm to first derivatives.

    Notes
    -----
    The sign of an eigenvector is that which the array library gives. Exact arrays refuse eigenvectors of a matrix with
    equal eigenvalues.
    """
    a = _matrices(floating(a), "eigh")
    subset = _subset(a, subset_by_index, "eigh")
    return EighResult(spectral.eigenvalues(a, **subset), spectral.eigenvectors(a, **subset))


def qr(a: Any, mode: str = "reduced") -> QRResult | Array:
    """``a = Q @ R``, Q with orthonormal columns and R upper triangular; with mode "r", R alone.

    The first min(m, n) columns must be linearly independent. Signs are those which the array library gives; on exact
    arrays the diagonal of R is positive.
    """
    a = _matrices(a, "qr", square=False)
    if mode not in ("reduced", "r"):
        raise InvalidInput(f"qr: expected mode 'reduced' or 'r', got {mode!r}")
    m, n = shape_of(a)[-2:]
    square = getitem(a, (..., slice(0, m))) if m < n else a
    q, r = orthogonal.orthonormal(square), orthogonal.triangular_factor(square)
    if m < n:
        r = concatenate([r, matmul(matrix_transpose(q), getitem(a, (..., slice(m, n))))], axis=-1)
    return r if mode == "r" else QRResult(q, r)


def diagonal(x: Any, *, offset: int = 0) -> Array:
    """The elements ``x[..., i, i + offset]`` of matrices."""
    return diagonals.diagonal(_matrices(x, "diagonal", square=False), offset, -2, -1)


def trace(x: Any, *, offset: int = 0) -> Array:
    """The sums of the diagonals of matrices."""
    return sum(diagonal(x, offset=offset), axis=-1)


def outer(a: Any, b: Any) -> Array:
    """The matrix ``a[i] * b[j]`` of two vectors."""
    a, b = asarray(a), asarray(b)
    if len(shape_of(a)) != 1 or len(shape_of(b)) != 1:
        raise ShapeError(f"outer: expected two vectors, got shapes {shape_of(a)} and {shape_of(b)}")
    return outer_product(a, b)


def matrix_power(a: Any, n: int) -> Array:
    """The n-th power of square matrices; of their inverses where n is negative."""
    a = _matrices(a, "matrix_power")
    if not isinstance(n, int) or isinstance(n, bool):
        raise InvalidInput(f"matrix_power: expected an integer power, got {n!r}")
    if n == 0:
        return zeros_like(a) + determinant.identity(a)
    base = inv(a) if n < 0 else a
    power = base
    for bit in bin(abs(n))[3:]:
        power = matmul(power, power)
        power = matmul(power, base) if bit == "1" else power
    return power


def multi_dot(arrays: Sequence[Any]) -> Array:
    """The product of matrices, in order; from the right if the last is a vector, else from the left."""
    arrays = [asarray(a) for a in arrays]
    if len(arrays) < 2:
        raise ShapeError(f"multi_dot: expected at least two arrays, got {len(arrays)}")
    if len(shape_of(arrays[-1])) == 1:
        return reduce(lambda x, a: matmul(a, x), reversed(arrays))
    return reduce(matmul, arrays)


hand_over(globals(), __all__, np.linalg)


def __getattr__(name: str) -> Any:
    try:
        return getattr(np.linalg, name)
    except AttributeError:
        raise AttributeError(f"neither refgrad.numpy.linalg nor numpy.linalg has {name!r}") from None
