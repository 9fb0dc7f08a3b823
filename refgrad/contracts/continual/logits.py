"""Logits of small classifiers, with their Jacobian and the derivatives of the mean cross-entropy by hand.

Like the losses of `refgrad.contracts.tools`, the objects run on the arrays of any library through a function table.
The call, all an automatic differentiation library needs, uses operators, ``@``, indexing and ``reshape`` only; both
families are polynomials in theta, so that their logits are rational and only the softmax is not.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from refgrad.contracts.tools.losses import Table
from refgrad.typing import Array

__all__ = ["LinearLogits", "Logits", "SquaredUnitLogits", "softmax"]


class Logits(Protocol):
    """A family of classifiers with parameters `theta`, shape (p,)."""

    def __call__(self, theta: Array, X: Array) -> Array:
        """Logits, shape (N, C), of the inputs `X`, shape (N, d)."""

    def jacobian(self, theta: Array, X: Array) -> Array:
        """The derivatives of the logits by theta, shape (N, C, p)."""

    def grad(self, theta: Array, batch: Any) -> Array:
        """The gradient by theta of the mean over ``batch = (X, y)`` of ``-log softmax(logits)[y]``, shape (p,)."""

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """The Hessian of that mean, times `v`, shape (p,)."""


def softmax(xp: Table, z: Array) -> Array:
    """Probabilities, shape (N, C), of logits `z`, shape (N, C)."""
    e = xp.exp(z - xp.reshape(xp.amax(z, 1), (z.shape[0], 1)))
    return e / xp.reshape(xp.sum(e, 1), (z.shape[0], 1))


class CrossEntropy(ABC):
    """The derivatives of the mean cross-entropy that follow from the Jacobian of the logits."""

    BY_HAND = ("jacobian", "grad")

    xp: Table
    classes: int

    def __init__(self, xp: Table, classes: int) -> None:
        self.xp, self.classes = xp, classes

    @abstractmethod
    def __call__(self, theta: Array, X: Array) -> Array:
        """The logits, shape (N, C)."""

    @abstractmethod
    def jacobian(self, theta: Array, X: Array) -> Array:
        """``dz_nc / dtheta``, shape (N, C, p)."""

    @abstractmethod
    def curvature(self, theta: Array, X: Array, weights: Array, v: Array) -> Array:
        """``sum_nc weights_nc Hess(z_nc) v``, shape (p,), for weights of shape (N, C)."""

    def grad(self, theta: Array, batch: Any) -> Array:
        """``mean_n sum_c (p_nc - [y_n = c]) dz_nc/dtheta``, shape (p,)."""
        X, y = batch
        return self._pull(self.jacobian(theta, X), self._residual(theta, X, y)) / X.shape[0]

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n (J_n^T (diag(p_n) - p_n p_n^T) J_n v + sum_c (p_nc - [y_n = c]) Hess(z_nc) v)``, shape (p,)."""
        X, y = batch
        N, J = X.shape[0], self.jacobian(theta, X)
        p = softmax(self.xp, self(theta, X))
        u = self.xp.reshape(self.xp.reshape(J, (N * self.classes, v.shape[0])) @ v, (N, self.classes))
        u = p * (u - self.xp.reshape(self.xp.sum(p * u, 1), (N, 1)))
        return (self._pull(J, u) + self.curvature(theta, X, self._residual(theta, X, y), v)) / N

    def _residual(self, theta: Array, X: Array, y: Any) -> Array:
        z = self(theta, X)
        return softmax(self.xp, z) - self.xp.onehot(y, self.classes, z)

    def _pull(self, J: Array, weights: Array) -> Array:
        rows = J.shape[0] * J.shape[1]
        return self.xp.reshape(weights, (rows,)) @ self.xp.reshape(J, (rows, J.shape[2]))


class LinearLogits(CrossEntropy):
    """``z_n = x_n W`` with ``W = reshape(theta, (d, C))``; p = d C parameters.

    Parameters
    ----------
    xp : Table
    classes : int
    """

    def __call__(self, theta: Array, X: Array) -> Array:
        return X @ self.xp.reshape(theta, (X.shape[1], self.classes))

    def jacobian(self, theta: Array, X: Array) -> Array:
        """``dz_nc / dW_ik = x_ni [k = c]``, shape (N, C, d C)."""
        (N, d), C = X.shape, self.classes
        diagonal = self.xp.reshape(self.xp.onehot(list(range(C)), C, X), (1, C, 1, C))
        return self.xp.reshape(self.xp.reshape(X, (N, 1, d, 1)) * diagonal, (N, C, d * C))

    def curvature(self, theta: Array, X: Array, weights: Array, v: Array) -> Array:
        """Zero: the logits are linear in theta."""
        return 0 * v


class SquaredUnitLogits(CrossEntropy):
    """``z_n = x_n W + (x_n . u)^2 a``: a hidden unit, squared, beside a linear map; p = d C + C + d parameters.

    ``theta`` is W in row-major order, shape (d, C), then a, shape (C,), then u, shape (d,). The logits are not
    linear in theta, so that formulas which hold for linear models only give another answer here.

    Parameters
    ----------
    xp : Table
    classes : int
    """

    def parts(self, theta: Array, X: Array) -> tuple[Array, Array, Array]:
        """``x_n W``, shape (N, C); a; and ``x_n . u``, shape (N, 1)."""
        (N, d), C = X.shape, self.classes
        W, a, u = theta[: d * C], theta[d * C : d * C + C], theta[d * C + C :]
        return X @ self.xp.reshape(W, (d, C)), a, self.xp.reshape(X @ u, (N, 1))

    def __call__(self, theta: Array, X: Array) -> Array:
        linear, a, h = self.parts(theta, X)
        return linear + h * h * a

    def jacobian(self, theta: Array, X: Array) -> Array:
        """``dz_nc`` by W is ``x_n`` at class c, by a is ``h_n^2`` at class c, by u is ``2 a_c h_n x_n``."""
        (N, d), C = X.shape, self.classes
        _, a, h = self.parts(theta, X)
        h = self.xp.reshape(h, (N, 1, 1))
        one = self.xp.onehot(list(range(C)), C, X)
        by_W = self.xp.reshape(self.xp.reshape(X, (N, 1, d, 1)) * self.xp.reshape(one, (1, C, 1, C)), (N, C, d * C))
        by_a = h * h * self.xp.reshape(one, (1, C, C))
        by_u = 2 * self.xp.reshape(a, (1, C, 1)) * h * self.xp.reshape(X, (N, 1, d))
        return self._join([by_W, by_a, by_u], X)

    def curvature(self, theta: Array, X: Array, weights: Array, v: Array) -> Array:
        """By a: ``sum_n w_nc 2 h_n (x_n . v_u)``; by u: ``sum_nc w_nc 2 (h_n v_a + a_c x_n . v_u) x_n``."""
        (N, d), C = X.shape, self.classes
        _, a, h = self.parts(theta, X)
        v_a, v_u = v[d * C : d * C + C], v[d * C + C :]
        slope = self.xp.reshape(X @ v_u, (N, 1))
        by_a = self.xp.sum(weights * (2 * h * slope), 0)
        by_u = self.xp.sum(weights * (2 * (h * v_a + slope * a)), 1) @ X
        parts = [0 * v[: d * C], by_a, by_u]
        return self.xp.reshape(self._join([self.xp.reshape(x, (1, 1, -1)) for x in parts], X), (-1,))

    def _join(self, parts: list[Array], like: Array) -> Array:
        """The parts end to end along the last axis, by products with slices of the identity: there is no concat."""
        p = sum(int(part.shape[2]) for part in parts)
        identity, start = self.xp.onehot(list(range(p)), p, like), 0
        total: Array = 0
        for part in parts:
            total = total + part @ identity[start : start + part.shape[2]]
            start += part.shape[2]
        return total
