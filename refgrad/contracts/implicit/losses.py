"""Inner and outer losses of the contracts, with the derivatives by hand that subjects without autodiff call.

Each object runs unchanged on the arrays of NumPy, torch, JAX and CuPy and on exact arrays: operators, ``@`` and ``.T``
are all that it uses. Any loss ``l`` becomes stationary in w at a chosen point by a linear term,

    inner(w, phi) = l(w, phi) - <d l / d w (w_star, phi_star), w>,

exactly so, in every precision, where w_star and phi_star are what w and phi are given as. The term has neither a
Hessian nor a mixed derivative: those are l's.

>>> from refgrad import exact
>>> a = exact.asarray
>>> inner = Penalised(A=a([[2]]), C=a([[3]]), G=a([[1]]), w_star=a([5]), phi_star=a([1]))
>>> w, phi = a([5]), a([1])
>>> inner.grad(w, phi), inner.hvp(w, phi, w), inner.mixed(w, phi, w)
(ExactArray([0]), ExactArray([15]), ExactArray([10]))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.assemble import identity
from refgrad.typing import Array, Scalar

__all__ = ["Inner", "Outer", "Penalised", "TwoLayers"]


class Inner(ABC):
    """An inner loss that is stationary in w at ``(w_star, phi_star)``; both shapes as those of w and phi."""

    BY_HAND = ("grad", "hvp", "mixed")

    def __init__(self, A: Any, G: Any, w_star: Any, phi_star: Any) -> None:
        self.A, self.G, self.w_star, self.phi_star = A, G, w_star, phi_star

    def __call__(self, w: Array, phi: Array) -> Scalar:
        return self.loss(w, phi) - self.slope(self.w_star, self.phi_star) @ w

    def grad(self, w: Array, phi: Array) -> Array:
        """d inner / dw, shape (n,)."""
        return self.slope(w, phi) - self.slope(self.w_star, self.phi_star)

    @abstractmethod
    def loss(self, w: Array, phi: Array) -> Scalar:
        """``l(w, phi)``."""

    @abstractmethod
    def slope(self, w: Array, phi: Array) -> Array:
        """d l / dw, shape (n,)."""

    @abstractmethod
    def slope_phi(self, w: Array, phi: Array) -> Array:
        """d inner / dphi, which is d l / dphi, shape (m,)."""

    @abstractmethod
    def hvp(self, w: Array, phi: Array, v: Array) -> Array:
        """``H v`` with ``H = d^2 inner / dw^2``, shape (n,)."""

    @abstractmethod
    def mixed(self, w: Array, phi: Array, u: Array) -> Array:
        """``B^T u`` with ``B[i, k] = d^2 inner / (dw_i dphi_k)``, shape (m,)."""

    @abstractmethod
    def hessian(self, w: Array, phi: Array) -> Array:
        """H, shape (n, n)."""

    @abstractmethod
    def cross(self, w: Array, phi: Array) -> Array:
        """B, shape (n, m)."""

    def penalty(self, phi: Array) -> Array:
        """``diag(G phi)``, the part of H that phi weighs, shape (n, n)."""
        return identity(self.A) * (self.G @ phi)

    def second_order(self, w: Array, phi: Array) -> Array:
        """The part of H that the residuals' own second derivatives make, shape (n, n)."""
        raise NotApplicable("the loss has no residuals")


class Penalised(Inner):
    """``l = 1/2 w^T A w - w^T C phi + 1/2 sum_i (G phi)_i w_i^2``: a quadratic loss with penalties that phi weighs.

    Parameters
    ----------
    A : array, shape (n, n)
        Symmetric.
    C, G : array, shape (n, m)
    w_star, phi_star : arrays, shapes (n,) and (m,)
    """

    def __init__(self, A: Any, C: Any, G: Any, w_star: Any, phi_star: Any) -> None:
        super().__init__(A, G, w_star, phi_star)
        self.C = C

    def loss(self, w: Array, phi: Array) -> Scalar:
        return w @ (self.A @ w) / 2 - w @ (self.C @ phi) + (self.G @ phi) @ (w * w) / 2

    def slope(self, w: Array, phi: Array) -> Array:
        return self.A @ w - self.C @ phi + (self.G @ phi) * w

    def slope_phi(self, w: Array, phi: Array) -> Array:
        return self.G.T @ (w * w) / 2 - self.C.T @ w

    def hvp(self, w: Array, phi: Array, v: Array) -> Array:
        return self.A @ v + (self.G @ phi) * v

    def mixed(self, w: Array, phi: Array, u: Array) -> Array:
        return self.G.T @ (w * u) - self.C.T @ u

    def hessian(self, w: Array, phi: Array) -> Array:
        return self.A + self.penalty(phi)

    def cross(self, w: Array, phi: Array) -> Array:
        return w[:, None] * self.G - self.C


class TwoLayers(Inner):
    """``l = 1/2 |(U w) * (V w) - Y phi|^2 + 1/2 w^T A w + 1/2 sum_i (G phi)_i w_i^2``: weights multiply one another.

    A linear network of two layers whose k outputs are fitted to targets that depend on phi; the *sum* of squares.

    Parameters
    ----------
    A : array, shape (n, n)
        Symmetric.
    G : array, shape (n, m)
    U, V : array, shape (k, n)
    Y : array, shape (k, m)
    w_star, phi_star : arrays, shapes (n,) and (m,)
    """

    def __init__(self, A: Any, G: Any, U: Any, V: Any, Y: Any, w_star: Any, phi_star: Any) -> None:
        super().__init__(A, G, w_star, phi_star)
        self.U, self.V, self.Y = U, V, Y

    def residuals(self, w: Array, phi: Array) -> Array:
        """``e = (U w) * (V w) - Y phi``, shape (k,)."""
        return (self.U @ w) * (self.V @ w) - self.Y @ phi

    def loss(self, w: Array, phi: Array) -> Scalar:
        e = self.residuals(w, phi)
        return e @ e / 2 + w @ (self.A @ w) / 2 + (self.G @ phi) @ (w * w) / 2

    def slope(self, w: Array, phi: Array) -> Array:
        e = self.residuals(w, phi)
        fitted = self.U.T @ ((self.V @ w) * e) + self.V.T @ ((self.U @ w) * e)
        return fitted + self.A @ w + (self.G @ phi) * w

    def slope_phi(self, w: Array, phi: Array) -> Array:
        return self.G.T @ (w * w) / 2 - self.Y.T @ self.residuals(w, phi)

    def push(self, w: Array, v: Array) -> Array:
        """``J v``, J the Jacobian of the residuals by w, shape (k,)."""
        return (self.V @ w) * (self.U @ v) + (self.U @ w) * (self.V @ v)

    def hvp(self, w: Array, phi: Array, v: Array) -> Array:
        e, s = self.residuals(w, phi), self.push(w, v)
        by_U = self.U.T @ ((self.V @ w) * s + (self.V @ v) * e)
        by_V = self.V.T @ ((self.U @ w) * s + (self.U @ v) * e)
        return by_U + by_V + self.A @ v + (self.G @ phi) * v

    def mixed(self, w: Array, phi: Array, u: Array) -> Array:
        return self.G.T @ (w * u) - self.Y.T @ self.push(w, u)

    def jacobian(self, w: Array) -> Array:
        """J, shape (k, n)."""
        return (self.V @ w)[:, None] * self.U + (self.U @ w)[:, None] * self.V

    def hessian(self, w: Array, phi: Array) -> Array:
        J = self.jacobian(w)
        return J.T @ J + self.second_order(w, phi) + self.A + self.penalty(phi)

    def cross(self, w: Array, phi: Array) -> Array:
        return w[:, None] * self.G - self.jacobian(w).T @ self.Y

    def second_order(self, w: Array, phi: Array) -> Array:
        half = self.U.T @ (self.residuals(w, phi)[:, None] * self.V)
        return half + half.T


class Outer:
    """``1/2 (w - t)^T Q (w - t) + w^T R phi + 1/2 phi^T P phi + q^T phi``.

    Parameters
    ----------
    Q : array, shape (n, n)
        Symmetric, as P.
    t : array, shape (n,)
    R : array, shape (n, m)
    P : array, shape (m, m)
    q : array, shape (m,)
    """

    BY_HAND = ("grad_w", "grad_phi")

    def __init__(self, Q: Any, t: Any, R: Any, P: Any, q: Any) -> None:
        self.Q, self.t, self.R, self.P, self.q = Q, t, R, P, q

    def __call__(self, w: Array, phi: Array) -> Scalar:
        r = w - self.t
        return r @ (self.Q @ r) / 2 + w @ (self.R @ phi) + phi @ (self.P @ phi) / 2 + self.q @ phi

    def grad_w(self, w: Array, phi: Array) -> Array:
        """``g = Q (w - t) + R phi``, the derivative by w, shape (n,)."""
        return self.Q @ (w - self.t) + self.R @ phi

    def grad_phi(self, w: Array, phi: Array) -> Array:
        """``d = R^T w + P phi + q``, the derivative by phi at fixed w, shape (m,)."""
        return self.R.T @ w + self.P @ phi + self.q

    def hessian(self, w: Array, phi: Array) -> Array:
        """``Q``, the second derivative by w, shape (n, n)."""
        return self.Q
