"""Logits of small classifiers, with their Jacobian and the derivatives of the mean cross-entropy by hand.

Like the losses of `refgrad.contracts.tools`, the objects run on the arrays of any library through a function table.
The call, all an automatic differentiation library needs, uses operators, ``@``, indexing, ``reshape`` and ``tanh``
only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

from refgrad.contracts.tools.losses import Table
from refgrad.typing import Array

__all__ = ["LinearLogits", "Logits", "SquaredLogits", "TanhLogits", "softmax"]


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


class TwoLayerLogits(CrossEntropy):
    """``z_n = phi(x_n W^T) V`` with H hidden units and no biases; W is (H, d), V is (H, C).

    `theta` holds for each unit its d weights in, then its C weights out: p = H (d + C). The two layers multiply one
    another, so that formulas which hold for linear models only give another answer here.

    Parameters
    ----------
    xp : Table
    classes : int
    """

    @abstractmethod
    def activation(self, a: Array) -> Array:
        """``phi(a)``, elementwise."""

    @abstractmethod
    def slope(self, a: Array) -> Array:
        """``phi'(a)``."""

    @abstractmethod
    def bend(self, a: Array) -> Array:
        """``phi''(a)``."""

    def layers(self, theta: Array, X: Array) -> tuple[Array, Array]:
        """W and V."""
        d = X.shape[1]
        units = self.xp.reshape(theta, (-1, d + self.classes))
        return units[:, :d], units[:, d:]

    def __call__(self, theta: Array, X: Array) -> Array:
        W, V = self.layers(theta, X)
        return self.activation(X @ W.T) @ V

    def jacobian(self, theta: Array, X: Array) -> Array:
        """``dz_nc`` by ``W_h`` is ``V_hc phi'(a_nh) x_n``, by ``V_hk`` it is ``phi(a_nh) [k = c]``."""
        (N, d), C = X.shape, self.classes
        W, V = self.layers(theta, X)
        a, H, width = X @ W.T, W.shape[0], d + C
        one = self.xp.onehot(list(range(width)), width, X)  # whose products put d or C columns in their places
        inwards = self.xp.reshape(self.slope(a), (N, 1, H, 1)) * self.xp.reshape(V.T, (1, C, H, 1))
        outwards = self.xp.reshape(self.activation(a), (N, 1, H, 1)) * self.xp.reshape(one[d:], (1, C, 1, width))
        return self.xp.reshape(inwards * self.xp.reshape(X @ one[:d], (N, 1, 1, width)) + outwards, (N, C, H * width))

    def curvature(self, theta: Array, X: Array, weights: Array, v: Array) -> Array:
        """With ``t_nh = x_n . v_Wh``: ``sum_nc w_nc (V_hc phi'' t + v_Vhc phi') x_n`` and ``sum_n w_nc phi' t``."""
        (W, V), (v_W, v_V) = self.layers(theta, X), self.layers(v, X)
        a, t = X @ W.T, X @ v_W.T
        by_W = (weights @ V.T * self.bend(a) * t + weights @ v_V.T * self.slope(a)).T @ X
        by_V = (self.slope(a) * t).T @ weights
        return self.xp.reshape(self.xp.concatenate((by_W.T, by_V.T)).T, (-1,))


class SquaredLogits(TwoLayerLogits):
    """Hidden units that square: the logits are polynomials in theta, and rational where theta and X are."""

    def activation(self, a: Array) -> Array:
        return a**2

    def slope(self, a: Array) -> Array:
        return 2 * a

    def bend(self, a: Array) -> Array:
        return 0 * a + 2


class TanhLogits(TwoLayerLogits):
    """Hidden units that take the hyperbolic tangent."""

    def activation(self, a: Array) -> Array:
        return self.xp.tanh(a)

    def slope(self, a: Array) -> Array:
        return 1 - self.xp.tanh(a) ** 2

    def bend(self, a: Array) -> Array:
        return -2 * self.xp.tanh(a) * self.slope(a)
