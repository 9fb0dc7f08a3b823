"""Inner problems made to have a solution chosen in advance, for any loss of w.

    inner(w, phi) = l(w) - grad l(psi(phi))^T w + mu/2 |w - psi(phi)|^2

is stationary at ``w = psi(phi)``, whatever the loss l, so that ``F(phi) = outer(psi(phi), phi)`` and

    dF / dphi = d + J^T g,     J = dpsi / dphi,

with no inner problem to solve and no system either. The curvature at the solution is ``Hess l + mu I``; a mu that
exceeds minus the least eigenvalue of Hess l there makes the stationary point a minimiser. The cross derivative is
``B = -(Hess l(psi) + mu I) J``.

References
----------
Roache 2002, Code verification by the method of manufactured solutions, Journal of Fluids Engineering 124.
"""

from __future__ import annotations

from typing import Any

from refgrad.contracts.implicit.problem import Derivatives
from refgrad.contracts.implicit.quadratic_outer import QuadraticOuter
from refgrad.contracts.tools.assemble import identity, rows
from refgrad.contracts.tools.losses import Loss
from refgrad.contracts.tools.terms import settled
from refgrad.typing import Array, Scalar

__all__ = ["Manufactured", "QuadraticMap"]


class QuadraticMap:
    """``psi_i(phi) = a_i + sum_k L_ik phi_k + sum_kl T_ikl phi_k phi_l``, a map from m numbers to n.

    Parameters
    ----------
    a : array, shape (n,)
    L : array, shape (n, m)
    T : array, shape (n, m, m)
    """

    def __init__(self, a: Any, L: Any, T: Any) -> None:
        self.a, self.L, self.T = a, L, T

    def __call__(self, phi: Array) -> Array:
        return self.a + self.L @ phi + self.T @ phi @ phi

    def jacobian(self, phi: Array) -> Array:
        """``dpsi_i / dphi_k = L_ik + sum_l (T_ikl + T_ilk) phi_l``, shape (n, m)."""
        return self.L + self.T @ phi + phi @ self.T


class Manufactured(QuadraticOuter):
    """A bilevel problem with the inner solution ``psi(phi)`` and a quadratic outer loss.

    Parameters
    ----------
    loss : Loss
        Called as ``loss(w, batch)``, with ``grad(w, batch)`` and ``hvp(w, batch, v)``.
    batch : any
    psi : QuadraticMap
    mu : scalar
    Q : array, shape (n, n)
        Symmetric, as P.
    t : array, shape (n,)
    R : array, shape (n, m)
    P : array, shape (m, m)
    q : array, shape (m,)
    """

    def __init__(
        self, loss: Loss, batch: Any, psi: QuadraticMap, mu: Any, Q: Any, t: Any, R: Any, P: Any, q: Any
    ) -> None:
        super().__init__(Q, t, R, P, q)
        self.loss, self.batch, self.psi, self.mu = loss, batch, psi, mu

    def inner(self, w: Array, phi: Array) -> Scalar:
        """``l(w) - grad l(psi)^T w + mu/2 |w - psi|^2``."""
        psi = self.psi(phi)
        r = w - psi
        return self.loss(w, self.batch) - self.loss.grad(psi, self.batch) @ w + self.mu * (r @ r) / 2

    def solution(self, phi: Array) -> Array:
        return self.psi(phi)

    def total_derivative(self, phi: Array) -> Array:
        """``d + J^T g``, shape (m,)."""
        w = settled(self.psi(phi))
        return self.grad_phi(w, phi) + self.psi.jacobian(phi).T @ settled(self.grad_w(w, phi))

    def curvature(self, w: Array) -> Array:
        """``Hess l(w) + mu I``, shape (n, n)."""
        units = identity(w)
        return rows([self.loss.hvp(w, self.batch, e) for e in units]) + self.mu * units

    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        psi, J = self.psi(phi), self.psi.jacobian(phi)
        K = self.curvature(psi)
        return Derivatives(
            slope=self.loss.grad(w, self.batch) - self.loss.grad(psi, self.batch) + self.mu * (w - psi),
            slope_phi=J.T @ (self.mu * psi - K @ w),
            H=self.curvature(w),
            B=-(K @ J),
            g=self.grad_w(w, phi),
            d=self.grad_phi(w, phi),
            Q=self.Q,
        )
