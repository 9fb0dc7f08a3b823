"""The penalty of elastic weight consolidation and its gradient, by hand.

References
----------
Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3): ``lam / 2 sum_i F_i (theta_i - theta*_i)^2``, with the factor 1/2.
"""

from __future__ import annotations

from refgrad.backend import of
from refgrad.contracts.tools.answer import Answer
from refgrad.typing import Array, Scalar

__all__ = ["ewc_gradient", "ewc_penalty"]


def ewc_penalty(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Answer:
    """``lam / 2 sum_i F_i (theta_i - theta*_i)^2``, shape (); all arrays of shape (p,)."""
    d = theta - theta_star
    value = lam * of(d).sum(fisher * d * d, (0,), False) / 2
    return Answer(value, abs(lam) * of(d).sum(abs(fisher) * d * d, (0,), False) / 2)


def ewc_gradient(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Answer:
    """The gradient of the penalty by theta, ``lam F (theta - theta*)``, shape (p,)."""
    value = lam * fisher * (theta - theta_star)
    return Answer(value, abs(value))
