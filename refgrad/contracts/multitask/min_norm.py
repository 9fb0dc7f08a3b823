"""The shortest vector in the convex hull of the rows of J, exactly, and how far weights are from giving it.

Problem: minimise ``|J^T a|^2`` over ``a >= 0, sum a = 1``. With ``v = J^T a``, weights are optimal if and only if
``<v, g_k> >= |v|^2`` for every row g_k, with equality where ``a_k > 0``. The vector v is unique, the weights need
not be. Wolfe's method keeps a set of affinely independent rows with v their affine minimiser; in exact arithmetic
every comparison is decided, a row that enters is affinely independent of the set, and |v| falls strictly, so that
it ends, for any input. It may begin with any such set: a guess in floats saves steps and is no part of the truth, for
the conditions above are what ends it.

Floats, and balls without a radius, are known exactly: they are solved as rationals, whose size stays moderate here.

References
----------
Wolfe 1976, Finding the nearest point in a polytope, Mathematical Programming 11; Desideri 2012, Multiple-gradient
descent algorithm; Sener and Koltun 2018, arXiv 1810.04650, eq. (3).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from refgrad.backend import of
from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.assemble import matrix, vector
from refgrad.contracts.tools.solve import checked_solve
from refgrad.errors import NotRational, SingularMatrix, Undecided
from refgrad.exact import asarray, bounds
from refgrad.typing import Array, Scalar

__all__ = [
    "Stated", "direction", "exactly", "gap", "gap_at", "infeasibility", "is_unique", "like",
    "min_norm", "nearest_point", "on_rationals", "optimal_weights", "shortfall", "squared_norm",
]  # fmt: skip

Formula = Callable[[Array], Array]


class Stated:
    """A formula with a magnitude that is stated beside it, as what a contract holds: see `refgrad.contracts.tools`.

    Attributes
    ----------
    plain : callable
        The formula, on J of any kind: rationals, balls, float64.
    """

    def __init__(self, plain: Formula, magnitude: Formula) -> None:
        self.plain, self.magnitude = plain, magnitude
        functools.update_wrapper(self, plain)

    def __call__(self, J: Array) -> Answer:
        return Answer(self.plain(J), self.magnitude(J))


def exactly(J: Array) -> Array | None:
    """`J` as rationals, if its numbers are known exactly; None for balls that have a radius."""
    if isinstance(J, np.ndarray) or J.dtype == "rational":
        return asarray(J)
    low, high = bounds(J)
    return asarray(low) if np.all(low == high) else None


def on_rationals(formula: Formula) -> Formula:
    """`formula` in exact arithmetic: floats as rationals if it is rational, and balls that cannot decide a branch."""

    @functools.wraps(formula)
    def evaluated(J: Array) -> Array:
        if isinstance(J, np.ndarray):
            try:
                return formula(asarray(J)).astype(J.dtype)
            except NotRational:
                return formula(J)
        try:
            return formula(J)
        except Undecided as undecided:
            rows = exactly(J)
            if rows is None or rows is J:
                raise
            try:
                return like(J, formula(rows))
            except NotRational:
                raise undecided from None

    return evaluated


def like(J: Array, found: Array) -> Array:
    """Rationals as numbers of the kind of `J`."""
    return of(J).asarray(found) if of(J).exact else found.astype(J.dtype)


@on_rationals
def optimal_weights(J: Array) -> Array:
    """Optimal weights, shape (K,), for the rows of `J`, shape (K, n). One choice where they are not unique."""
    G = J @ J.T
    return nearest_point(G, likely_support(G.astype(float)))


@on_rationals
def shortest_vector(J: Array) -> Array:
    """``J^T a`` with optimal weights a, shape (n,)."""
    return J.T @ optimal_weights(J)


def ones(J: Array) -> Array:
    """1 for every weight: they are parts of a whole, known to one rounding of the whole."""
    return of(J).ones_like(J[:, 0])


def columns(J: Array) -> Array:
    """The sum of the absolute values in each column of `J`, the scale at which a rounding of every weight acts.

    It does not vanish where the weights lie on a row of zeros.
    """
    return of(J).sum(abs(J), (0,), False)


min_norm = Stated(optimal_weights, ones)
direction = Stated(shortest_vector, columns)


def squared_norm(J: Array) -> Answer:
    """``|J^T a|^2`` at the optimum, shape (); its magnitude is the largest ``|g_k|^2``, or 1 if all rows are zero."""
    v = shortest_vector(J)
    return Answer(v @ v, scale(J))


def gap(J: Array, weights: Array) -> Scalar:
    """``|v|^2 - min_k <v, g_k>`` with ``v = J^T a`` and ``a = weights / sum(weights)``; zero only at the optimum.

    It bounds the squared distance of v from the optimal vector, and needs no solution to be known.
    """
    return gap_at(J, J.T @ (weights / of(weights).sum(weights, (0,), False)))


def gap_at(J: Array, v: Array) -> Scalar:
    """``|v|^2 - min_k <v, g_k>``, for a vector of the hull."""
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


def likely_support(G: np.ndarray) -> Sequence[int]:
    """The rows that are likely to get weight, from a float64 Gram matrix; of up to four there is no need to guess.

    Where weights are not unique, which ones are found depends on the guess.
    """
    return np.flatnonzero(likely_weights(G)).tolist() if len(G) > 4 else ()


def likely_weights(G: np.ndarray) -> np.ndarray:
    """Weights from SciPy's non-negative least squares on a float64 Gram matrix, or 0 for each: a guess.

    ``min |R x|^2 + (sum x - 1)^2`` over ``x >= 0`` is solved by a multiple of the weights, for ``R^T R = G / s`` and
    any s.
    """
    from scipy.optimize import nnls

    if not np.isfinite(G).all():
        return np.zeros(len(G))
    values, vectors = np.linalg.eigh(G / (np.abs(G).max() or 1.0))
    system = np.vstack([(vectors * np.sqrt(np.maximum(values, 0.0))).T, np.ones(len(G))])
    try:
        x, _ = nnls(system, np.append(np.zeros(len(G)), 1.0))
    except RuntimeError:  # too many steps
        return np.zeros(len(G))
    return x / x.sum()


def nearest_point(G: Array, start: Sequence[int] = ()) -> Array:
    """Optimal weights, shape (K,), from the Gram matrix `G` of the rows, shape (K, K).

    Parameters
    ----------
    G : array, shape (K, K)
    start : sequence of int
        Rows to begin with; where these are no set of Wolfe's, the first row.
    """
    corral, weights = corral_of(G, start)
    while True:
        products = G @ weights
        level = weights @ products
        # rows of the corral are at the level exactly; a ball could not decide that
        entering = next((k for k in range(len(G)) if k not in corral and products[k] < level), None)
        if entering is None:
            return weights
        corral.append(entering)
        weights = to_affine_minimiser(G, corral, weights)


def corral_of(G: Array, start: Sequence[int]) -> tuple[list[int], Array]:
    """The rows `start` with their affine minimiser if that lies inside their hull, else the first row."""
    if len(start):
        try:
            found = affine_weights(G, start)
            if all(bool(a > 0) for a in found):
                return list(start), embed(G, start, list(found))
        except (SingularMatrix, Undecided):
            pass
    return [0], embed(G, [0], [G[0, 0] * 0 + 1])


def to_affine_minimiser(G: Array, corral: list[int], weights: Array) -> Array:
    """Wolfe's minor cycle: move to the affine minimiser, dropping the rows whose weight reaches zero on the way."""
    while True:
        target = affine_weights(G, corral)
        outside = [i for i, b in enumerate(target) if not b > 0]
        if not outside:
            return embed(G, corral, list(target))
        now = [weights[k] for k in corral]
        steps = [now[i] / (now[i] - target[i]) for i in outside]
        step, first = steps[0], outside[0]
        for candidate, i in zip(steps[1:], outside[1:], strict=True):
            if candidate < step:
                step, first = candidate, i
        moved = [a + step * (b - a) for a, b in zip(now, target, strict=True)]
        kept = [i for i, a in enumerate(moved) if i != first and a > 0]  # the first is 0, which balls could not decide
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
        # rows with weight are at the level exactly; a ball could not decide that
        affine_weights(G, [k for k in range(len(G)) if weights[k] > 0 or products[k] == level])
    except Undecided:  # balls too wide to tell: more bits may
        raise
    except SingularMatrix:
        return False
    return True
