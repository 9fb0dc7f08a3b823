"""Dense linear systems with a certificate, and a test of positive definiteness, on any array library."""

from __future__ import annotations

import numpy as np

from refgrad import numpy as rnp
from refgrad.autodiff.core import primal
from refgrad.backend import of
from refgrad.errors import IndefiniteHessian, SingularMatrix
from refgrad.linalg.cg import Solution
from refgrad.linalg.norms import relative_residual
from refgrad.linalg.stop import Stopped
from refgrad.typing import Array

__all__ = ["require_invertible", "require_positive_definite", "solve"]


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
    x = rnp.linalg.solve(a, b)
    # balls contain the solution itself; multiplied back, they would show their width
    enclosed = of(primal(x)).name == "ball"
    residual = 0.0 if enclosed else relative_residual(primal(a) @ primal(x), b)
    return Solution(x, residual, 0, Stopped.EXACT if residual == 0.0 else Stopped.DIRECT)


def require_positive_definite(a: Array, what: str) -> None:
    """Raise unless every pivot of the elimination of symmetric `a` is positive.

    Raises
    ------
    SingularMatrix
        If a pivot and its row are zero.
    IndefiniteHessian
        If a pivot is negative, or zero with a row that is not.
    """
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

    References
    ----------
    .. [bauer1963] F. L. Bauer, Optimally scaled matrices, Numerische Mathematik 5 (1963), section 3.
    """
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
