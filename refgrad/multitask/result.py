"""What the aggregators of several gradients take, and what they return: one direction, and what vouches for it."""

from __future__ import annotations

from dataclasses import dataclass

from refgrad import numpy as rnp
from refgrad.autodiff.core import Tracer
from refgrad.backend import Backend, of
from refgrad.errors import InvalidInput, NoDerivative, ShapeError
from refgrad.linalg import Stopped, all_finite
from refgrad.typing import Array, Scalar

__all__ = ["Aggregate", "MinNorm", "gap", "gap_at", "require_gradients"]


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
        Rows that entered the active set, on floats the rows with weight; 0 for a closed form.
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
    return gap_at(J, weights @ J)


def gap_at(J: Array, v: Array) -> Scalar:
    """The gap of weights of which v is the direction."""
    # from the differences v - g_k, whose products with v are small where the gap is
    return ((v - J) @ v).max()  # eq: min-norm-gap


def require_gradients(J: Array, what: str) -> Backend:
    """The function table of J, if it is a matrix of finite real numbers with a gradient in each row.

    Raises
    ------
    ShapeError
        If J is no matrix or has no rows or columns.
    InvalidInput
        If its elements are no real numbers, or one is infinite or NaN.
    NoDerivative
        If J is traced.
    """
    if isinstance(J, Tracer):
        raise NoDerivative(f"{what} is not differentiable here: give it refgrad.value_of(J)")
    if getattr(J, "ndim", 0) != 2 or J.shape[0] == 0:
        given = f"an array of shape {J.shape}" if hasattr(J, "shape") else f"a {type(J).__name__}"
        raise ShapeError(
            f"{what}: expected an array with a gradient in each row, shape (K, n); got {given}. Write "
            "numpy.asarray(J) or refgrad.exact.asarray(J) for nested lists."
        )
    xp = of(J)
    if not xp.is_real(J):
        raise InvalidInput(f"{what}: expected real floating-point or exact numbers, got dtype {J.dtype}")
    if not all_finite(J):
        raise InvalidInput(f"{what}: expected finite gradients, got an infinite or NaN element")
    if J.shape[1] == 0:
        raise ShapeError(f"{what}: expected gradients of at least one parameter, got shape {J.shape}")
    return xp
