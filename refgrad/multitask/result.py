"""What the aggregators of several gradients return: one direction, and what vouches for it."""

from __future__ import annotations

from dataclasses import dataclass

from refgrad import numpy as rnp
from refgrad.linalg import Stopped
from refgrad.typing import Array, Scalar

__all__ = ["Aggregate", "MinNorm", "gap"]


@dataclass(frozen=True)
class Aggregate:
    """A combination of several gradients.

    Attributes
    ----------
    weights : array, shape (K,)
    direction : array, shape (n,)
        ``v = J^T weights``; the step is ``theta - lr v``.
    """

    weights: Array
    direction: Array


@dataclass(frozen=True)
class MinNorm(Aggregate):
    """The min-norm point and the evidence for it.

    Attributes
    ----------
    weights : array, shape (K,)
        Non-negative, with sum 1.
    direction : array, shape (n,)
        ``v = J^T weights``; the step is ``theta - lr v``.
    gap : array, shape ()
        ``|v|^2 - min_k <v, g_k>``, an upper bound of ``|v - v*|^2``; exactly 0 for rationals.
    steps : int
        Rows that entered the active set; 0 for a closed form.
    stopped : Stopped
    """

    gap: Scalar
    steps: int
    stopped: Stopped

    @property
    def descends(self) -> bool:
        """Whether the gap proves that ``-direction`` decreases every loss: ``gap < |v|^2``."""
        return bool(self.gap < rnp.sum(self.direction * self.direction))


def gap(J: Array, weights: Array) -> Scalar:
    """``|v|^2 - min_k <v, g_k>`` for ``v = J^T weights``, equation (min-norm-gap).

    Parameters
    ----------
    J : array, shape (K, n)
    weights : array, shape (K,)
        In the simplex; the bound does not hold outside.
    """
    v = weights @ J
    # from the differences v - g_k, whose products with v are small where the gap is
    return rnp.max((v - J) @ v)  # eq: min-norm-gap
