"""Hypergradients of ridge regression by its penalties, fitted on one set of data and judged on another.

    inner(w, phi) = 1/2 |X w - y|^2 + 1/2 sum_i (G phi)_i w_i^2
    outer(w, phi) = 1/2 |X_val w - y_val|^2

both *sums* with a factor 1/2. The columns of G are groups of weights that share a penalty: one column of ones for a
single penalty, the identity for a penalty for each weight. With ``H = X^T X + diag(G phi)``,

    w = H^{-1} X^T y,     dF / dphi = -G^T (w * u),     H u = X_val^T (X_val w - y_val),

which is ``-w^T u`` for a single penalty and ``-w_i u_i`` for one each.

References
----------
Larsen, Hansen, Svarer and Ohlsson 1996, Design and regularization of neural networks: the optimal use of a validation
set; Bengio 2000, Gradient-based optimization of hyperparameters.
"""

from __future__ import annotations

from typing import Any

from refgrad.contracts.implicit.problem import Bilevel, Derivatives
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["Ridge"]


class Ridge(Bilevel):
    """Ridge regression with m penalties phi on n weights w.

    Parameters
    ----------
    X : array, shape (N, n)
    y : array, shape (N,)
    X_val : array, shape (M, n)
        The identity where the outer loss is ``1/2 |w - y_val|^2``.
    y_val : array, shape (M,)
    G : array, shape (n, m)
    """

    def __init__(self, X: Any, y: Any, X_val: Any, y_val: Any, G: Any) -> None:
        self.X, self.y, self.X_val, self.y_val, self.G = X, y, X_val, y_val, G

    def inner(self, w: Array, phi: Array) -> Scalar:
        """``1/2 |X w - y|^2 + 1/2 sum_i (G phi)_i w_i^2``."""
        r = self.X @ w - self.y
        return r @ r / 2 + (w * w) @ (self.G @ phi) / 2

    def outer(self, w: Array, phi: Array) -> Scalar:
        """``1/2 |X_val w - y_val|^2``."""
        r = self.X_val @ w - self.y_val
        return r @ r / 2

    def hessian(self, phi: Array) -> Array:
        """``X^T X + diag(G phi)``, shape (n, n)."""
        gram = self.X.T @ self.X
        return gram + identity(gram) * (self.G @ phi)

    def solution(self, phi: Array) -> Array:
        return checked_solve(self.hessian(phi), self.X.T @ self.y)

    def total_derivative(self, phi: Array) -> Array:
        """``-G^T (w * u)``, shape (m,)."""
        w = self.solution(phi)
        u = checked_solve(self.hessian(phi), self.X_val.T @ (self.X_val @ w - self.y_val))
        return -(self.G.T @ (w * u))

    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        H = self.hessian(phi)
        return Derivatives(
            slope=H @ w - self.X.T @ self.y,
            slope_phi=self.G.T @ (w * w) / 2,
            H=H,
            B=w[:, None] * self.G,
            g=self.X_val.T @ (self.X_val @ w - self.y_val),
            d=0 * phi,
            Q=self.X_val.T @ self.X_val,
        )
