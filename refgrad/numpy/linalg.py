"""Linear algebra by NumPy's names, for stacks of matrices: the last two axes are the matrices'.

Functions of symmetric matrices (`cholesky`, `eigh`, `eigvalsh`) read one triangle of their argument, as NumPy's do, and
have the derivatives of functions of symmetric matrices: along the symmetric part of a direction, so that gradients are
symmetric. A function of all elements of `a`, symmetric or not, is that of ``(a + a.T) / 2``.
Every other name is numpy.linalg's own, for plain arrays.

>>> from refgrad import exact, grad
>>> grad(det)(exact.asarray([[1, 2], [2, 4]]))  # at a singular matrix: the cofactors
ExactArray([[4, -2],
            [-2, 1]])
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import primal
from refgrad.autodiff.rules import determinant, linalg, orthogonal, shape, spectral, triangular
from refgrad.autodiff.rules.least_squares import least_squares
from refgrad.autodiff.rules.matrix import matrix_transpose
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, NoDerivative, ShapeError, SingularMatrix
from refgrad.numpy import diagonals
from refgrad.numpy.conversion import asarray, floating, zeros_like
from refgrad.numpy.elementwise import absolute
from refgrad.numpy.factors import EighResult, LstsqResult, QRResult, SlogdetResult
from refgrad.numpy.indexing import getitem
from refgrad.numpy.joining import concatenate
from refgrad.numpy.norms import matrix_norm, norm, svdvals, vector_norm
from refgrad.numpy.passthrough import hand_over
from refgrad.numpy.products import cross, matmul, tensordot, vecdot
from refgrad.numpy.products import outer as outer_product
from refgrad.numpy.reductions import sum
from refgrad.numpy.sorting import sort
from refgrad.typing import Array

__all__ = [
    "EighResult", "LstsqResult", "QRResult", "SlogdetResult", "cholesky", "cross", "det", "diagonal", "eigh",
    "eigvalsh", "inv", "lstsq", "matmul", "matrix_norm", "matrix_power", "matrix_transpose", "multi_dot", "norm",
    "outer", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensordot", "trace", "vecdot",
    "vector_norm",
]  # fmt: skip


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


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = None) -> Array:
    """The pseudoinverse of matrices of full rank, shape (..., n, m): ``(a.T @ a)^-1 a.T`` if a is tall.

    Exact on rationals. A plain floating array may have any rank; its pseudoinverse is NumPy's.

    Parameters
    ----------
    a : array, shape (..., m, n)
    rcond : number
        What singular values are taken to be 0, relative to the largest. None may be, for a derivative.
    hermitian : bool
        Whether a is symmetric; for plain arrays only, since the inverse of such a matrix is `inv`.
    rtol : number
        The array API's name for `rcond`.

    Raises
    ------
    SingularMatrix
        If the rank is not full: there the pseudoinverse is not continuous.
    """
    a = _matrices(a, "pinv", square=False)
    if type(a) is np.ndarray:
        return np.linalg.pinv(a, hermitian=hermitian, **({"rcond": rcond} if rtol is None else {"rtol": rtol}))
    if hermitian:
        raise InvalidInput("pinv: expected hermitian=False; a symmetric matrix of full rank has an inverse, inv(a)")
    _require_rank(a, rcond if rtol is None else rtol, "pinv")
    m, n = shape_of(a)[-2:]
    if m <= n:
        return least_squares(a, determinant.identity(matrix_transpose(a)))
    return matrix_transpose(least_squares(matrix_transpose(a), determinant.identity(a)))


def _require_rank(a: Array, rcond: Any, what: str) -> None:
    """Raise unless all singular values of floating matrices are above `rcond` times the largest."""
    if rcond is not None and rcond >= 0 and not backend.of(primal(a)).exact:
        s = np.linalg.svd(primal(a), compute_uv=False)
        if np.any(s[..., -1] <= rcond * s[..., 0]):
            raise SingularMatrix(
                f"{what}: expected full rank; a singular value is at most rcond={rcond!r} of the largest"
            )


def lstsq(a: Any, b: Any, rcond: Any = None) -> LstsqResult:
    """The x with the smallest ``norm(b - a @ x)``, residuals, rank and singular values, as NumPy returns them.

    The system has full rank; of a wide a, the x of the smallest norm. Its derivatives are exact on rationals, where the
    singular values are None. A plain floating array may have any rank; its solution is NumPy's.

    Parameters
    ----------
    a : array, shape (m, n)
    b : array, shape (m,) or (m, k)
    rcond : number
        What singular values are taken to be 0, relative to the largest. None may be, for a derivative.

    Raises
    ------
    SingularMatrix
        If the rank is not full: there the solution is not continuous. With a ridge it is
        ``solve(a.T @ a + lam * eye(n), a.T @ b)``.
    """
    a, b = _matrices(a, "lstsq", square=False), asarray(b)
    if type(a) is type(b) is np.ndarray:
        return LstsqResult(*np.linalg.lstsq(a, b, rcond))  # type: ignore[arg-type]
    (m, n), right = shape_of(a)[-2:], shape_of(b)
    if len(shape_of(a)) != 2 or len(right) not in (1, 2) or right[0] != m:
        raise ShapeError(f"lstsq: expected shapes (m, n) and (m,) or (m, k), got {shape_of(a)} and {right}")
    _require_rank(a, rcond, "lstsq")
    columns = b if len(right) == 2 else shape.reshape(b, shape=(m, 1))
    x = least_squares(a, columns)
    residual = columns - matmul(a, x)
    residuals = sum(residual * residual, axis=0)
    return LstsqResult(
        x if len(right) == 2 else shape.reshape(x, shape=(n,)),
        residuals if m > n else getitem(residuals, slice(0, 0)),
        min(m, n),
        None if backend.of(primal(x)).exact else svdvals(qr(a if m >= n else matrix_transpose(a), mode="r")),
    )


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """The singular values, with ``compute_uv=False``: `svdvals`. Singular vectors are NumPy's, for plain arrays.

    With `hermitian` the absolute eigenvalues of the symmetric matrix with the lower triangle of a.
    """
    a = _matrices(a, "svd", square=hermitian)
    if type(a) is np.ndarray:
        return np.linalg.svd(a, full_matrices, compute_uv, hermitian)  # type: ignore[call-overload]
    if compute_uv:
        raise NoDerivative(
            "numpy.linalg.svd: singular vectors have no derivative rule in refgrad. Write svd(a, compute_uv=False) for "
            "the singular values; eigh(a.T @ a) has the right singular vectors, and pinv and lstsq need none."
        )
    if not hermitian:
        return svdvals(a)
    return getitem(sort(absolute(eigvalsh(a)), axis=-1), (..., slice(None, None, -1)))


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
    """The triangle L with positive diagonal of ``a = L @ L.T``; with `upper`, U of ``a = U.T @ U``.

    Of a the same triangle is read, and the gradient is symmetric. Exact on rationals where L is rational.

    Raises
    ------
    NotPositiveDefinite
        If there is no such triangle.
    NotRational
        If a rational matrix has an L that is not.
    """
    a = _matrices(floating(a), "cholesky")
    return matrix_transpose(triangular.cholesky(matrix_transpose(a))) if upper else triangular.cholesky(a)


def _spectrum(a: Array, UPLO: str, subset_by_index: tuple[int, int] | None, what: str) -> dict[str, Any]:
    if UPLO not in ("L", "U", "l", "u"):
        raise InvalidInput(f"{what}: expected UPLO 'L' or 'U', got {UPLO!r}")
    n = shape_of(a)[-1]
    first, last = (0, n - 1) if subset_by_index is None else subset_by_index
    if subset_by_index is not None and not 0 <= first <= last < n:
        raise InvalidInput(f"{what}: expected subset_by_index with 0 <= first <= last < {n}, got {subset_by_index!r}")
    return {"start": int(first), "stop": int(last) + 1, "uplo": UPLO.upper()}


def eigvalsh(a: Any, UPLO: str = "L", *, subset_by_index: tuple[int, int] | None = None) -> Array:
    """The eigenvalues in ascending order, shape (..., n), of the symmetric matrix with one triangle of a.

    UPLO says which is read, ``"L"`` for the lower; the gradient is symmetric.

    The first derivative of a function that is symmetric in equal eigenvalues, such as their sum, is right; single ones
    have no derivative. Second derivatives are NaN if two of the eigenvalues are equal; for a function of few of them,
    give `subset_by_index`, as in `eigh`.

    Parameters
    ----------
    a : array, shape (..., n, n)
    UPLO : {"L", "U"}
        Which triangle is read, the lower or the upper.
    """
    a = _matrices(floating(a), "eigvalsh")
    return spectral.eigenvalues(a, **_spectrum(a, UPLO, subset_by_index, "eigvalsh"))


def eigh(a: Any, UPLO: str = "L", *, subset_by_index: tuple[int, int] | None = None) -> EighResult:
    """Eigenvalues in ascending order and unit eigenvectors, as columns, of the symmetric matrix with one triangle of a.

    Parameters
    ----------
    a : array, shape (..., n, n)
    UPLO : str
        Which triangle is read, ``"L"`` for the lower, ``"U"`` for the upper. Gradients are symmetric.
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
    subset = _spectrum(a, UPLO, subset_by_index, "eigh")
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
