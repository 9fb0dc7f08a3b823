"""The MAML gradient of quadratic tasks with another quadratic at every inner step: the adaptation is an affine map.

Inner step i descends ``1/2 (theta - c_i)^T A_i (theta - c_i)`` with rate a_i, i = 0 .. k-1, and the query loss is
``1/2 (theta - c_q)^T A_q (theta - c_q)``. Then ``theta_k = P theta + r`` with

    P <- (I - a_i A_i) P,     r <- (I - a_i A_i) r + a_i A_i c_i,     from P = I, r = 0,

and the gradient is ``P^T A_q (P theta + r - c_q)``. Here ``P = J_{k-1} ... J_0``, and its transpose has the first
step's Jacobian on the left: ``P^T = J_0 ... J_{k-1}``. The two differ where the A_i do not commute, by
``lr^2 sum_{i<j} [A_i, A_j]`` to leading order, so that P in the place of P^T shows.

References
----------
Finn, Abbeel and Levine 2017, arXiv 1703.03400, eq. (1), with the chain rule written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.tools.assemble import identity, total
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["adaptation", "affine_gradient", "affine_minimiser"]


def affine_gradient(theta: Array, tasks: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """``mean_t P^T A_q (P theta + r - c_q)``, shape (d,): the *mean* over tasks.

    Parameters
    ----------
    theta : array, shape (d,)
    tasks : list of (batches, query)
        `batches` is a list of k pairs ``(A, c)`` and `query` is one such pair, A symmetric.
    rates : sequence of scalars, length k
    """
    terms = []
    for task in tasks:
        (P, r), (A, c) = adaptation(task, rates), task[1]
        terms.append(P.T @ (A @ (P @ theta + r - c)))
    return total(terms) / len(terms)


def affine_minimiser(tasks: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """The theta, shape (d,), with ``sum_t P^T A_q P theta = sum_t P^T A_q (c_q - r)``, where the gradient vanishes.

    It is the minimiser of the MAML objective if every A_q is positive semidefinite.

    Parameters
    ----------
    tasks, rates : as in `affine_gradient`

    Raises
    ------
    SingularMatrix
        If it is not unique.
    """
    matrices, vectors = [], []
    for task in tasks:
        (P, r), (A, c) = adaptation(task, rates), task[1]
        matrices.append(P.T @ A @ P)
        vectors.append(P.T @ (A @ (c - r)))
    return checked_solve(total(matrices), total(vectors))


def adaptation(task: Any, rates: Sequence[Scalar]) -> tuple[Array, Array]:
    """``(P, r)`` of one task, shapes (d, d) and (d,)."""
    batches, (A_q, c_q) = task
    P, r = identity(A_q), 0 * c_q
    for (A, c), rate in zip(batches, rates, strict=True):
        P, r = P - rate * (A @ P), r - rate * (A @ (r - c))
    return P, r
