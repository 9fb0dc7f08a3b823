"""A bilevel problem of any size whose Hessian is diagonal plus five outer products, with its answer by Woodbury."""

from __future__ import annotations

import numpy as np


class DiagonalPlusLowRank:
    """``inner = w . (D + U^T U) w / 2 - phi . P w`` and ``outer = |w - t|^2 / 2``, with three hyperparameters.

    The solution and the hypergradient ``P H^-1 (w* - t)`` are computed by Woodbury's formula in O(n).
    """

    def __init__(self, n, seed=0):
        rng = np.random.default_rng(seed)
        self.d, self.U, self.P = 1 + 99 * rng.random(n), rng.normal(size=(5, n)), rng.normal(size=(3, n))
        self.t, self.phi = rng.normal(size=n), np.array([1.0, -0.5, 2.0])
        self.w = self.solve(self.phi @ self.P)
        self.value = self.P @ self.solve(self.w - self.t)

    def solve(self, b):
        over = self.U / self.d
        return b / self.d - over.T @ np.linalg.solve(np.eye(5) + over @ self.U.T, over @ b)

    def inner(self, w, phi):
        product = self.U @ w
        return np.sum(self.d * w * w) / 2 + np.sum(product * product) / 2 - phi @ (self.P @ w)

    def outer(self, w, phi):
        return np.sum((w - self.t) ** 2) / 2
