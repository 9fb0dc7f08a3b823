"""Dense linear systems with a certificate, and a test of positive definiteness, on any array library."""

from __future__ import annotations

from refgrad import numpy as rnp
from refgrad.autodiff.trace import primal
from refgrad.errors import IndefiniteHessian
from refgrad.linalg.cg import Solution
from refgrad.linalg.vectors import relative_residual
from refgrad.typing import Array

__all__ = ["require_positive_definite", "solve"]


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
    residual = relative_residual(primal(a) @ primal(x), b)
    return Solution(x, residual, 0, "exact" if residual == 0.0 else "direct")


def require_positive_definite(a: Array, what: str) -> None:
    """Raise `IndefiniteHessian` unless every pivot of the elimination of symmetric `a` is positive."""
    a = primal(a)
    for k in range(a.shape[0]):
        pivot = a[0, 0]
        if not pivot > 0:
            raise IndefiniteHessian(
                f"{what}: pivot {k} of the elimination is {float(pivot):.3g}; expected a positive definite matrix."
            )
        row = a[0:1, 1:]
        a = a[1:, 1:] - a[1:, 0:1] @ row / pivot
