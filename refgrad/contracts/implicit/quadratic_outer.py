"""An outer loss that is quadratic in both variables together, with a direct term."""

from __future__ import annotations

from typing import Any

from refgrad.contracts.implicit.problem import Bilevel
from refgrad.typing import Array, Scalar

__all__ = ["QuadraticOuter"]


class QuadraticOuter(Bilevel):
    """A problem with ``outer(w, phi) = 1/2 (w - t)^T Q (w - t) + w^T R phi + 1/2 phi^T P phi + q^T phi``.

    Parameters
    ----------
    Q : array, shape (n, n)
        Symmetric, as P.
    t : array, shape (n,)
    R : array, shape (n, m)
    P : array, shape (m, m)
    q : array, shape (m,)
    """

    def __init__(self, Q: Any, t: Any, R: Any, P: Any, q: Any) -> None:
        self.Q, self.t, self.R, self.P, self.q = Q, t, R, P, q

    def outer(self, w: Array, phi: Array) -> Scalar:
        r = w - self.t
        return r @ (self.Q @ r) / 2 + w @ (self.R @ phi) + phi @ (self.P @ phi) / 2 + self.q @ phi

    def outer_slope(self, w: Array, phi: Array) -> Array:
        """``Q (w - t) + R phi``, the derivative by w, shape (n,)."""
        return self.Q @ (w - self.t) + self.R @ phi

    def direct_term(self, w: Array, phi: Array) -> Array:
        """``R^T w + P phi + q``, the derivative by phi at fixed w, shape (m,)."""
        return self.R.T @ w + self.P @ phi + self.q
