"""An outer loss that is quadratic in both variables together, with a direct term."""

from __future__ import annotations

from refgrad.contracts.implicit.losses import Outer
from refgrad.contracts.implicit.problem import Bilevel
from refgrad.typing import Array, Scalar

__all__ = ["QuadraticOuter"]


class QuadraticOuter(Outer, Bilevel):
    """A problem with ``outer(w, phi) = 1/2 (w - t)^T Q (w - t) + w^T R phi + 1/2 phi^T P phi + q^T phi``.

    The outer loss of `losses.Outer`, with its derivatives ``grad_w`` and ``grad_phi``, as that of a problem.
    """

    def outer(self, w: Array, phi: Array) -> Scalar:
        return self(w, phi)
