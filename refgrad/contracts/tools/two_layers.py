"""Least squares through a network with one hidden layer and no bias, with first and second derivatives by hand.

Parameters of two layers multiply one another, so that the loss is no function of ``X theta``, and its backward pass
reads the parameters again: code that changes them between the two passes gets another gradient. The weights of the
second layer may decay, which no example knows of.

>>> from refgrad import exact
>>> from refgrad.contracts.tools.losses import EXACT_TABLE
>>> from refgrad.contracts.tools.two_layers import TwoLayers
>>> loss = TwoLayers(EXACT_TABLE, 1)  # (b a x - y)^2 / 2
>>> theta, batch = exact.asarray([2, 3]), (exact.asarray([[1]]), exact.asarray([5]))
>>> loss(theta, batch), loss.grad(theta, batch)
(ExactArray(1/2), ExactArray([3, 2]))
"""

from __future__ import annotations

from typing import Any

from refgrad.contracts.tools.losses import Table
from refgrad.typing import Array, Scalar

__all__ = ["TanhLayers", "TwoLayers"]


class TwoLayers:
    """``mean_n (s(x_n W) . w - y_n)^2 / 2 + decay |w|^2 / 8``, the *mean* over the batch, with s the identity.

    ``theta`` is the matrix of shape (d + 1, h), row by row, whose last row is w and whose others are W; it has
    p = (d + 1) h numbers. A batch ``(X, y, c)`` has the term ``c . theta`` as well.

    Parameters
    ----------
    xp : Table
    hidden : int
        The number h of hidden units.
    decay : int
    """

    BY_HAND = ("grad", "hvp")

    def __init__(self, xp: Table, hidden: int, decay: int = 0) -> None:
        self.xp, self.hidden, self.decay = xp, hidden, decay

    def units(self, z: Array) -> Array:
        """``s(z)``."""
        return z

    def slope(self, s: Array) -> Array | int:
        """``s'(z)``, from ``s(z)``."""
        return 1

    def bend(self, s: Array) -> Array | int:
        """``s''(z)``, from ``s(z)``."""
        return 0

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        X, y, *tilt = batch
        M = self.xp.reshape(theta, (X.shape[1] + 1, self.hidden))
        w = M[-1]
        r = self.units(X @ M[:-1]) @ w - y
        fit = self.xp.sum(r * r) / (2 * y.shape[0])
        return fit + self.decay * (w @ w) / 8 + sum(c @ theta for c in tilt)

    def grad(self, theta: Array, batch: Any) -> Array:
        """By W ``mean_n r_n x_n (w s')^T`` with r the residuals, by w ``mean_n r_n s + decay w / 4``; shape (p,)."""
        X, y, *tilt = batch
        M = self.xp.reshape(theta, (X.shape[1] + 1, self.hidden))
        s, w = self.units(X @ M[:-1]), M[-1]
        r = s @ w - y
        by_W = X.T @ (r[:, None] * (w * self.slope(s))) / y.shape[0]
        by_w = r @ s / y.shape[0] + self.decay * w / 4
        return self.xp.concatenate((self.xp.reshape(by_W, (-1,)), by_w)) + sum(tilt)

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """The derivative of `grad` along `v`, whose parts V and u move z by ``X V`` and r by ``s' (X V) . w + s . u``.

        By W ``mean_n x_n ((dr_n w + r_n u) s' + r_n w s'' dz_n)^T``, by w ``mean_n dr_n s + r_n s' dz_n``, and the
        decay ``u / 4``.
        """
        X, y = batch[:2]
        M, V = (self.xp.reshape(x, (X.shape[1] + 1, self.hidden)) for x in (theta, v))
        s, w, dz, u = self.units(X @ M[:-1]), M[-1], X @ V[:-1], V[-1]
        slope = self.slope(s)
        ds = slope * dz
        r, dr = (s @ w - y)[:, None], (ds @ w + s @ u)[:, None]
        by_W = X.T @ ((dr * w + r * u) * slope + r * w * (self.bend(s) * dz)) / y.shape[0]
        by_w = self.xp.sum(dr * s + r * ds, 0) / y.shape[0] + self.decay * u / 4
        return self.xp.concatenate((self.xp.reshape(by_W, (-1,)), by_w))


class TanhLayers(TwoLayers):
    """The same with s the hyperbolic tangent."""

    def units(self, z: Array) -> Array:
        """``tanh z``."""
        return self.xp.tanh(z)

    def slope(self, s: Array) -> Array:
        """``1 - s^2``."""
        return 1 - s**2

    def bend(self, s: Array) -> Array:
        """``-2 s (1 - s^2)``."""
        return -2 * s * (1 - s**2)
