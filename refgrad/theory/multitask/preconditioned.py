"""A min-norm direction handed to a preconditioned optimiser, and the direction to hand it instead.

Adam, RMSProp and Newton methods do not move along u but along ``D u`` with a positive definite D. The shortest vector v
in the hull of the gradients promises ``<g_k, v> >= |v|^2``, and nothing about ``<g_k, D v>``: it is the false lemma of
`lemma` once more. With g_1 = (3, -1), g_2 = (-1, 3) and D = diag(1, 100) the first loss rises at the rate 97.

The weights that minimise ``|D^{1/2} J^T a|^2``, the shortest vector for the gradients ``D^{1/2} g_k``, need the Gram
matrix ``J D J^T`` only, so no root is taken. With ``w = J^T a`` for *these* weights, which is seldom v, their direction
``D w`` has all rates at least ``<w, D w>``.

References
----------
Compare Fliege, Grana Drummond and Svaiter 2009, Newton's method for multiobjective optimization, where every task has a
metric of its own.
"""

from __future__ import annotations

from refgrad.contracts.multitask.min_norm import min_norm, nearest_point
from refgrad.theory.multitask.shared_encoder import Update
from refgrad.typing import Array

__all__ = ["min_norm_in_metric", "preconditioned_min_norm"]


def preconditioned_min_norm(J: Array, D: Array) -> Update:
    """``D v`` with the shortest vector v in the hull of the rows of `J`: not a common descent direction.

    Parameters
    ----------
    J : array, shape (K, n)
    D : array, shape (n, n)
        Symmetric and positive definite.
    """
    return update_along(J, D, min_norm(J).value)


def min_norm_in_metric(J: Array, D: Array) -> Update:
    """``D J^T a`` with the weights that minimise ``a^T J D J^T a``: no rate is below ``a^T J D J^T a``.

    Parameters
    ----------
    J : array, shape (K, n)
    D : array, shape (n, n)
        Symmetric and positive definite.
    """
    return update_along(J, D, nearest_point(J @ (D @ J.T)))


def update_along(J: Array, D: Array, weights: Array) -> Update:
    """The direction ``D J^T a`` with its rates."""
    direction = D @ (J.T @ weights)
    return Update(weights, direction, J @ direction)
