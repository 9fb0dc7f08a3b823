"""Hypergradients of weights of auxiliary tasks, each task a quadratic loss of the same parameters.

    l_k(w) = 1/2 w^T A_k w - b_k^T w,     k = 0 (the main task), 1 .. m (auxiliary), val (the main task on other data)
    inner(w, phi) = l_0(w) + sum_k phi_k l_k(w),     outer(w, phi) = l_val(w)

The minimiser is ``w = (A_0 + sum_k phi_k A_k)^{-1} (b_0 + sum_k phi_k b_k)``, and with H that matrix

    dF / dphi_k = -(A_k w - b_k)^T H^{-1} (A_val w - b_val):

F falls as phi_k grows exactly if the step ``-H^{-1} grad l_k`` of that task lowers l_val. There is no direct term, and
a weight may be zero.

Least squares, ``l_k(w) = 1/2 |X_k w - y_k|^2 - 1/2 |y_k|^2`` as *sums*, are such tasks with ``A_k = X_k^T X_k`` and
``b_k = X_k^T y_k``. Where every example is a task of its own, phi weighs the data: with ``r_i = x_i^T w - y_i``,

    dF / dphi_i = -r_i x_i^T H^{-1} (A_val w - b_val),

and to leave example i out, phi_i = 0 for 1, moves w by ``r_i / (1 - h_i) H^{-1} x_i`` with ``h_i = x_i^T H^{-1} x_i``.

References
----------
Navon, Achituve, Maron, Chechik and Fetaya 2021, Auxiliary learning by implicit differentiation, arXiv 2007.02693; Cook
and Weisberg 1982, Residuals and influence in regression, for the example left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.implicit.problem import Bilevel, Derivatives
from refgrad.contracts.tools.assemble import identity, rows
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["AuxiliaryTasks"]

Data = tuple[Array, Array]


class AuxiliaryTasks(Bilevel):
    """A main task and m auxiliary tasks with weights phi.

    Parameters
    ----------
    A0, A_val : array, shape (n, n)
        Symmetric, as every A_k.
    b0, b_val : array, shape (n,)
    A : array, shape (m, n, n)
    b : array, shape (m, n)
    """

    def __init__(self, A0: Any, b0: Any, A: Any, b: Any, A_val: Any, b_val: Any) -> None:
        self.A0, self.b0, self.A, self.b, self.A_val, self.b_val = A0, b0, A, b, A_val, b_val

    @classmethod
    def of_least_squares(cls, main: Data, auxiliary: Sequence[Data], val: Data) -> AuxiliaryTasks:
        """The tasks ``1/2 |X w - y|^2``, *sums* over examples, less their values at zero.

        Parameters
        ----------
        main, val : pair (X, y)
            Of shapes (N, n) and (N,), N being another in each.
        auxiliary : list of m such pairs
        """
        A, b = zip(*(normal_equations(*task) for task in auxiliary), strict=True)
        return cls(*normal_equations(*main), rows(A), rows(b), *normal_equations(*val))

    @classmethod
    def of_examples(cls, X: Array, y: Array, mu: Scalar, val: Data) -> AuxiliaryTasks:
        """Every example a task, weighed by its phi, and ``mu/2 |w|^2`` for the main task.

        Parameters
        ----------
        X : array, shape (m, n)
        y : array, shape (m,)
        mu : scalar
        val : pair (X, y)
            Of shapes (N, n) and (N,).
        """
        unit = identity(X[0])
        A, b = X[:, :, None] * X[:, None, :], y[:, None] * X
        return cls(mu * unit, 0 * X[0], A, b, *normal_equations(*val))

    def inner(self, w: Array, phi: Array) -> Scalar:
        """``l_0(w) + sum_k phi_k l_k(w)``."""
        return w @ (self.A0 @ w) / 2 - self.b0 @ w + phi @ self.losses(w)

    def outer(self, w: Array, phi: Array) -> Scalar:
        """``l_val(w)``."""
        return w @ (self.A_val @ w) / 2 - self.b_val @ w

    def losses(self, w: Array) -> Array:
        """The losses of the auxiliary tasks, shape (m,)."""
        return self.A @ w @ w / 2 - self.b @ w

    def hessian(self, phi: Array) -> Array:
        """``A_0 + sum_k phi_k A_k``, shape (n, n)."""
        H = self.A0
        for k in range(self.A.shape[0]):
            H = H + phi[k] * self.A[k]
        return H

    def solution(self, phi: Array) -> Array:
        return checked_solve(self.hessian(phi), self.b0 + phi @ self.b)

    def total_derivative(self, phi: Array) -> Array:
        """``-(A_k w - b_k)^T u`` for every k, shape (m,)."""
        w = self.solution(phi)
        u = checked_solve(self.hessian(phi), self.A_val @ w - self.b_val)
        return -((self.A @ w - self.b) @ u)

    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        H = self.hessian(phi)
        return Derivatives(
            slope=H @ w - self.b0 - phi @ self.b,
            slope_phi=self.losses(w),
            H=H,
            B=(self.A @ w - self.b).T,
            g=self.A_val @ w - self.b_val,
            d=0 * phi,
            Q=self.A_val,
        )


def normal_equations(X: Array, y: Array) -> Data:
    """``X^T X``, shape (n, n), and ``X^T y``, shape (n,)."""
    return X.T @ X, X.T @ y
