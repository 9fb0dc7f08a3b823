"""Hypergradients of quadratic bilevel problems, in closed form, and one small problem that tells many formulas apart.

    inner(w, phi) = 1/2 w^T H w - w^T (c + C phi)
    outer(w, phi) = 1/2 (w - t)^T Q (w - t) + w^T R phi + 1/2 phi^T P phi + q^T phi

The inner minimiser is ``w(phi) = H^{-1} (c + C phi)``, with derivative ``S = H^{-1} C``, so that

    F'(phi) = R^T w + P phi + q + C^T u,     H u = Q (w - t) + R phi,
    F''(phi) = S^T Q S + S^T R + R^T S + P.

References
----------
Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, theorem 1; Pedregosa 2016, arXiv 1602.02355.

Examples
--------
>>> problem, w, phi = probe()
>>> problem.hypergradient(phi).value
ExactArray([-4/5, -4/5, -6/5])
"""

from __future__ import annotations

from typing import Any

from refgrad import exact
from refgrad.contracts.implicit.problem import Derivatives
from refgrad.contracts.implicit.quadratic_outer import QuadraticOuter
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["QuadraticBilevel", "probe"]


class QuadraticBilevel(QuadraticOuter):
    """A quadratic inner and a quadratic outer loss; either is a plain function of arrays of any library.

    Parameters
    ----------
    H : array, shape (n, n)
        Symmetric and invertible.
    C : array, shape (n, m)
    c, t : array, shape (n,)
    Q : array, shape (n, n)
        Symmetric, as P.
    R : array, shape (n, m)
    P : array, shape (m, m)
    q : array, shape (m,)
    """

    def __init__(self, H: Any, C: Any, c: Any, Q: Any, t: Any, R: Any, P: Any, q: Any) -> None:
        super().__init__(Q, t, R, P, q)
        self.H, self.C, self.c = H, C, c

    def inner(self, w: Array, phi: Array) -> Scalar:
        """``1/2 w^T H w - w^T (c + C phi)``."""
        return w @ (self.H @ w) / 2 - w @ (self.c + self.C @ phi)

    def solution(self, phi: Array) -> Array:
        return checked_solve(self.H, self.c + self.C @ phi)

    def total_derivative(self, phi: Array) -> Array:
        """``R^T w + P phi + q + C^T u``, shape (m,), by one solve with H."""
        w = self.solution(phi)
        return self.grad_phi(w, phi) + self.C.T @ checked_solve(self.H, self.grad_w(w, phi))

    def second_derivative(self, phi: Array) -> Array:
        """``S^T Q S + S^T R + R^T S + P``, shape (m, m), the same for every phi."""
        S = checked_solve(self.H, self.C)
        return S.T @ self.Q @ S + S.T @ self.R + self.R.T @ S + self.P

    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        return Derivatives(
            slope=self.H @ w - self.c - self.C @ phi,
            slope_phi=-(self.C.T @ w),
            H=self.H,
            B=-self.C,
            g=self.grad_w(w, phi),
            d=self.grad_phi(w, phi),
            Q=self.Q,
        )


def probe() -> tuple[QuadraticBilevel, Array, Array]:
    """A bilevel problem of order 3 in integers and thirds, its inner solution w, and phi.

    Its hypergradient is ``(-4/5, -4/5, -6/5)``. Wrong signs, missing terms, a transposed cross derivative, damping
    left in and truncated series all give other vectors: any two of them, the hypergradient included, differ in some
    component by at least 3/25, a tenth of its largest.
    """
    a = exact.asarray
    problem = QuadraticBilevel(
        H=a([[7, 1, 3], [1, 2, 1], [3, 1, 3]]),
        C=a([[0, -3, -1], [2, -1, 3], [-3, -2, 3]]),
        c=a([11, -8, 3]),
        Q=a([[3, 0, 0], [0, 3, 0], [0, 0, 3]]),
        t=a(["5/3", "-1/3", 3]),
        R=a([[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        P=a([[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
        q=a([2, -1, 1]),
    )
    point = a([1, -1, 2])
    return problem, point, point
