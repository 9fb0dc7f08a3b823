"""The shortest vector in the convex hull of the rows of J, exactly, and how far weights are from giving it.

Problem: minimise ``|J^T a|^2`` over ``a >= 0, sum a = 1``. With ``v = J^T a``, weights are optimal if and only if
``<v, g_k> >= |v|^2`` for every row g_k, with equality where ``a_k > 0``. The vector v is unique, the weights need
not be. Wolfe's method keeps a set of affinely independent rows with v their affine minimiser; in exact arithmetic
every comparison is decided, a row that enters is affinely independent of the set, and |v| falls strictly, so that
it ends, for any input.

References
----------
Wolfe 1976, Finding the nearest point in a polytope, Mathematical Programming 11; Desideri 2012, Multiple-gradient
descent algorithm; Sener and Koltun 2018, arXiv 1810.04650, eq. (3).
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.backend import of
from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.assemble import matrix, vector
from refgrad.contracts.tools.solve import checked_solve
from refgrad.errors import SingularMatrix, Undecided
from refgrad.typing import Array, Scalar

__all__ = ["direction", "gap", "infeasibility", "is_unique", "min_norm", "nearest_point", "shortfall", "squared_norm"]


def min_norm(J: Array) -> Answer:
    """Optimal weights, shape (K,), for the rows of `J`, shape (K, n). One choice where they are not unique.

    The magnitude is 1 for every weight: the weights are parts of a whole, known to one rounding of the whole.
    """
    weights = nearest_point(J @ J.T)
    return Answer(weights, of(J).ones_like(weights))


def direction(J: Array) -> Answer:
    """``J^T a`` with optimal weights a, shape (n,): the shortest vector of the hull.

    The magnitude is the largest absolute value in each column of `J`, the scale at which a rounding of the weights
    acts; it does not vanish where the weights lie on a row of zeros.
    """
    return Answer(J.T @ nearest_point(J @ J.T), of(J).amax(abs(J), (0,), False))


def squared_norm(J: Array) -> Answer:
    """``|J^T a|^2`` at the optimum, shape (); its magnitude is the largest ``|g_k|^2``, or 1 if all rows are zero."""
    v = J.T @ nearest_point(J @ J.T)
    return Answer(v @ v, scale(J))


def gap(J: Array, weights: Array) -> Scalar:
    """``|v|^2 - min_k <v, g_k>`` with ``v = J^T a`` and ``a = weights / sum(weights)``; zero only at the optimum.

    It bounds the squared distance of v from the optimal vector, and needs no solution to be known.
    """
    v = J.T @ (weights / of(weights).sum(weights, (0,), False))
    return v @ v + of(J).amax(-(J @ v), (0,), False)


def infeasibility(weights: Array) -> Scalar:
    """``max(|sum a - 1|, max_k -a_k, 0)``: how far weights are from non-negative with sum 1."""
    xp = of(weights)
    off = abs(xp.sum(weights, (0,), False) - 1)
    return xp.maximum(off, xp.maximum(xp.amax(-weights, (0,), False), 0 * off))


def shortfall(J: Array, weights: Array) -> Scalar:
    """The gap of the weights, negative ones set to 0, plus their infeasibility times the largest ``|g_k|^2``.

    With the magnitude of `squared_norm` as its unit, rounding of a few units in a weight counts as such, and a
    sum of weights of 1.01 or a weight of -0.01 as an error of that size.
    """
    xp = of(weights)
    penalty = infeasibility(weights) * scale(J)
    kept = xp.maximum(weights, xp.zeros_like(weights))
    return penalty + gap(J, kept) if (xp.sum(kept, (0,), False) > 0) else penalty


def scale(J: Array) -> Scalar:
    """The largest squared norm of a row; 1 if all are zero."""
    largest = of(J).amax(of(J).sum(J * J, (1,), False), (0,), False)
    return largest if largest > 0 else of(J).ones_like(largest)


def nearest_point(G: Array) -> Array:
    """Optimal weights, shape (K,), from the Gram matrix `G` of the rows, shape (K, K)."""
    corral = [0]
    weights = embed(G, corral, [G[0, 0] * 0 + 1])
    while True:
        products = G @ weights
        level = weights @ products
        # rows of the corral are at the level exactly; a ball could not decide that
        entering = next((k for k in range(len(G)) if k not in corral and products[k] < level), None)
        if entering is None:
            return weights
        corral.append(entering)
        weights = to_affine_minimiser(G, corral, weights)


def to_affine_minimiser(G: Array, corral: list[int], weights: Array) -> Array:
    """Wolfe's minor cycle: move to the affine minimiser, dropping the rows whose weight reaches zero on the way."""
    while True:
        target = affine_weights(G, corral)
        outside = [i for i, b in enumerate(target) if not b > 0]
        if not outside:
            return embed(G, corral, list(target))
        now = [weights[k] for k in corral]
        steps = [now[i] / (now[i] - target[i]) for i in outside]
        step = steps[0]
        for candidate in steps[1:]:
            step = candidate if candidate < step else step
        moved = [a + step * (b - a) for a, b in zip(now, target, strict=True)]
        kept = [i for i, a in enumerate(moved) if a > 0]
        weights = embed(G, [corral[i] for i in kept], [moved[i] for i in kept])
        corral[:] = [corral[i] for i in kept]


def affine_weights(G: Array, rows: Sequence[int]) -> Array:
    """The weights with sum 1, of either sign, that minimise ``a^T G a`` over the rows given.

    They solve ``[[G, 1], [1^T, 0]] [a, m] = [0, 1]``. Raises `SingularMatrix` if the rows are affinely dependent.
    """
    zero = 0 * G[0, 0]
    one = zero + 1
    bordered = [*(entry for k in rows for entry in (*(G[k, m] for m in rows), one)), *(one for _ in rows), zero]
    order = len(rows) + 1
    system = matrix(order, *bordered)
    return checked_solve(system, vector([*(zero for _ in rows), one]))[: len(rows)]


def embed(G: Array, rows: Sequence[int], values: Sequence[Scalar]) -> Array:
    """Weights of shape (K,) that are zero but for `values` at `rows`."""
    found = dict(zip(rows, values, strict=True))
    return vector([found.get(k, 0 * G[0, 0]) for k in range(len(G))])


def is_unique(J: Array, weights: Array) -> bool:
    """Whether optimal `weights` are the only ones: the rows at the optimal level are affinely independent."""
    G = J @ J.T
    products = G @ weights
    level = weights @ products
    try:
        affine_weights(G, [k for k in range(len(G)) if products[k] == level])
    except Undecided:  # balls too wide to tell: more bits may
        raise
    except SingularMatrix:
        return False
    return True
