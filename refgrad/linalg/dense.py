"""Dense linear systems with a certificate, and tests of what their matrices must be, on any array library."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refgrad import numpy as rnp
from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import IndefiniteHessian, ShapeError, SingularMatrix
from refgrad.linalg.cg import Solution
from refgrad.linalg.norms import relative_residual
from refgrad.linalg.stop import Stopped
from refgrad.typing import Array

__all__ = ["factorise", "require_invertible", "require_positive_definite", "solve"]


def solve(a: Array, b: Array) -> Solution:
    """The x with ``a @ x = b``, by elimination.

    Parameters
    ----------
    a : array, shape (n, n)
    b : array, shape (n,)

    Raises
    ------
    SingularMatrix
        If elimination meets an exactly singular matrix; a nearly singular one shows in the residual.
    """
    return _certified(a, rnp.linalg.solve(a, b), b)


def factorise(a: Array, what: str, *, definite: bool = False) -> Callable[[Array], Solution]:
    """The function that gives the x with ``a @ x = b`` for any b, from one factorisation.

    Parameters
    ----------
    a : array, shape (n, n)
    what : str
        What a is called in messages.
    definite : bool
        Whether a is symmetric and must be positive definite.

    Raises
    ------
    ShapeError
        If a is no square matrix.
    SingularMatrix
        If a is singular, on floats to working precision, by the measure of `require_invertible`.
    IndefiniteHessian
        If a must be positive definite and is not.
    """
    _require_square(a, what)
    inverse = _factors(a, definite) if type(a) is np.ndarray and a.dtype.char in "fd" and a.size else None
    if inverse is None:
        require_invertible(a, what)
        if definite:
            require_positive_definite(a, f"{what} (definite=False allows a saddle)")

    def solution(b: Array) -> Solution:
        if inverse is None or type(b) is not np.ndarray or b.dtype != a.dtype:
            return solve(a, b)
        return _certified(a, inverse(b), b)

    return solution


def _factors(a: np.ndarray, definite: bool) -> Callable[[Array], Array] | None:
    """What solves with `a`, by Cholesky's factor if it must be definite; None if that or its condition is in doubt."""
    from scipy.linalg import lapack

    scale = np.ones_like(a[0])
    if definite:
        # powers of two that bring the diagonal to 1 round nothing, and the least condition is not far; elimination
        # with pivots would choose others
        sizes = np.sqrt(np.maximum(a.diagonal(), 0))
        scale = np.ldexp(scale, -np.frexp(np.where(np.isfinite(sizes) & (sizes > 0), sizes, 0.5))[1])
    scaled = a * scale[:, None]
    scaled *= scale
    size = abs(scaled).sum(axis=0).max()
    # the transpose of what is symmetric is in LAPACK's order as it stands
    scaled = scaled.T if definite else np.asfortranarray(scaled)
    decompose, estimate, substitute = lapack.get_lapack_funcs(
        ("potrf", "pocon", "potrs") if definite else ("getrf", "gecon", "getrs"), (scaled,)
    )
    *factors, info = decompose(scaled, overwrite_a=True, **({"clean": False} if definite else {}))
    if info:
        return None
    reciprocal, _ = estimate(factors[0], size)
    # a condition number that a scaling reaches is no less than the least; the estimate is seldom wrong by 10
    if not reciprocal > 1000 * len(a) * np.finfo(a.dtype).eps:
        return None
    return lambda b: substitute(*factors, b * scale)[0] * scale


def _require_square(a: Array, what: str) -> None:
    if len(a.shape) != 2 or a.shape[0] != a.shape[1]:
        raise ShapeError(f"{what}: expected a square matrix, of shape (n, n), got {a.shape}")


def _certified(a: Array, x: Array, b: Array) -> Solution:
    # balls contain the solution itself; multiplied back, they would show their width
    enclosed = of(primal(x)).name == "ball"
    residual = 0.0 if enclosed else relative_residual(primal(a) @ primal(x), b)
    return Solution(x, residual, 0, Stopped.EXACT if residual == 0.0 else Stopped.DIRECT)


def require_positive_definite(a: Array, what: str) -> None:
    """Raise unless every pivot of the elimination of symmetric `a` is positive.

    Parameters
    ----------
    a : array, shape (n, n)
    what : str
        What a is called in messages.

    Raises
    ------
    ShapeError
        If a is no square matrix.
    SingularMatrix
        If a pivot and its row are zero.
    IndefiniteHessian
        If a pivot is negative, or zero with a row that is not.
    """
    _require_square(a, what)
    a = primal(a)
    for k in range(a.shape[0]):
        pivot = a[0, 0]
        if pivot == 0 and bool((a[0] == 0).all()):
            raise SingularMatrix(f"{what}: pivot {k} of the elimination and its row are zero; the matrix is singular.")
        if not pivot > 0:
            raise IndefiniteHessian(
                f"{what}: pivot {k} of the elimination is {float(pivot):.3g}; expected a positive definite matrix."
            )
        row = a[0:1, 1:]
        a = a[1:, 1:] - a[1:, 0:1] @ row / pivot


def require_invertible(a: Array, what: str) -> None:
    """Raise `SingularMatrix` if a float matrix is singular to working precision.

    Elimination cannot tell: for a consistent system its residual is small whatever it returns. The measure is the least
    condition number that any scaling of rows and columns reaches, the spectral radius of ``|A^-1| |A|`` [bauer1963]_,
    so that parameters of different size are no reason to refuse.

    Parameters
    ----------
    a : array, shape (n, n)
    what : str
        What a is called in the message.

    Raises
    ------
    ShapeError
        If a is no square matrix.
    SingularMatrix
        If it is singular.

    References
    ----------
    .. [bauer1963] F. L. Bauer, Optimally scaled matrices, Numerische Mathematik 5 (1963), section 3.
    """
    _require_square(a, what)
    a = primal(a)
    if of(a).exact or a.shape[0] == 0:
        return
    host = np.asarray(a.get() if hasattr(a, "get") else a)
    try:
        with np.errstate(all="ignore"):
            magnitudes = np.abs(np.linalg.inv(host)) @ np.abs(host)
        condition = np.abs(np.linalg.eigvals(magnitudes)).max()
    except np.linalg.LinAlgError:  # exactly singular, or not finite
        condition = np.inf
    if not condition < 1 / (10 * len(host) * np.finfo(host.dtype).eps):
        raise SingularMatrix(
            f"{what} is singular to working precision: its least condition number under scaling is {condition:.3g}. "
            "The answer then depends on how the problem was solved; add a strictly convex term to it."
        )
