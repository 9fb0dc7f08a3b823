"""Ways to weight several gradients that are not the min-norm weights, each as a formula on J of shape (K, n).

Every function returns weights of shape (K,), on rationals, balls or float64. `epsilon` is what public code adds to a
denominator, 0 or an array of shape ().
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from refgrad.backend import of
from refgrad.contracts.multitask.min_norm import (
    affine_weights,
    embed,
    exactly,
    is_unique,
    like,
    likely_support,
    likely_weights,
    nearest_point,
    on_rationals,
    optimal_weights,
)
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.errors import NotRational, SingularMatrix, Undecided
from refgrad.typing import Array, Scalar

__all__ = [
    "affine", "best_few", "best_pair", "frank_wolfe", "inverse_norm", "inverse_squared_norm", "normalised_rows",
    "normalised_size", "pair", "pcgrad", "shortest", "uniform", "unique_weights", "units",
]  # fmt: skip

LONGEST = 3
"""Frank-Wolfe steps in rationals, whose sizes triple with each; what has not ended by then is enclosed."""


def uniform(J: Array) -> Array:
    """``1 / K`` each."""
    return (0 * J[:, 0] + 1) / len(J)


def squared_norms(J: Array) -> Array:
    """``|g_k|^2``, shape (K,)."""
    return of(J).sum(J * J, (1,), False)


def inverse_squared_norm(J: Array, epsilon: Scalar | int = 0) -> Array:
    """Weights proportional to ``1 / |g_k|^2``, whether the rows are orthogonal or not."""
    return inversely(squared_norms(J) + epsilon)


def inverse_norm(J: Array, epsilon: Scalar | int = 0) -> Array:
    """Weights proportional to ``1 / |g_k|``."""
    return inversely(of(J).sqrt(squared_norms(J)) + epsilon)


def inversely(sizes: Array) -> Array:
    """Weights proportional to the inverses of `sizes`."""
    if any(bool(size == 0) for size in sizes):
        raise NotApplicable("a row of zeros has no inverse norm")
    return 1 / sizes / of(sizes).sum(1 / sizes, (0,), False)


def shortest(J: Array) -> Array:
    """All weight on the shortest row, the first of several."""
    squares = squared_norms(J)
    return embed(J @ J.T, [int(of(J).argmax(-squares, 0))], [0 * squares[0] + 1])


def affine(J: Array) -> Array:
    """The minimiser of sum 1 and any sign: ``G^-1 1``, normalised."""
    try:
        return affine_weights(J @ J.T, range(len(J)))
    except Undecided:  # balls too wide to tell: more bits may
        raise
    except SingularMatrix as error:
        raise NotApplicable("the rows are affinely dependent") from error


@on_rationals
def unique_weights(J: Array) -> Array:
    """The right weights, where there is one choice of them."""
    weights = optimal_weights(J)
    if not is_unique(J, weights):
        raise NotApplicable("the optimal weights are not unique")
    return weights


def first_of_pair(a: Array, b: Array, c: Array, epsilon: Scalar | int = 0, margin: Scalar | int = 0) -> Array:
    """The weight of the first of two gradients with ``a = |g_1|^2, b = <g_1, g_2>, c = |g_2|^2``; arrays of pairs.

    At a vertex it is `margin` away from 1 or 0.
    """
    xp = of(a)
    at_first, at_second = b >= a, b >= c
    length = a + c - 2 * b + epsilon
    inside = (c - b) / xp.where(at_first | at_second, xp.ones_like(length), length)
    ends = xp.where(at_first, xp.ones_like(a) - margin, xp.zeros_like(a) + margin)
    return xp.where(at_first | at_second, ends, inside)


def pair(J: Array, epsilon: Scalar | int = 0, margin: Scalar | int = 0) -> Array:
    """The weights of two tasks by the Gram form of their formula."""
    if len(J) != 2:
        raise NotApplicable("a formula for two tasks")
    G = J @ J.T
    first = first_of_pair(G[:1, 0], G[:1, 1], G[1:, 1], epsilon, margin)
    return of(J).concat([first, 1 - first], 0)


def best_pair(J: Array, epsilon: Scalar | int = 0, margin: Scalar | int = 0) -> Array:
    """The best of all pairs, the other weights zero; the pair is chosen by its exact minimum, whatever the margin."""
    if len(J) < (3 if margin else 2):
        raise NotApplicable("there is no choice of a pair")
    G = J @ J.T
    one, other = np.array(list(combinations(range(len(G)), 2))).T
    a, b, c = G[one, one], G[one, other], G[other, other]
    t = first_of_pair(a, b, c, epsilon)
    values = t * t * a + 2 * t * (1 - t) * b + (1 - t) * (1 - t) * c
    best = int(of(G).argmax(-values, 0))
    tied = [p for p in range(len(one)) if p == best or values[p] == values[best]]
    if any(bool(a[p] + c[p] == 2 * b[p]) for p in tied):
        raise NotApplicable("the best pair is two equal rows: any weights do")
    found = [embed(G, (one[p], other[p]), (t[p], 1 - t[p])) for p in tied]
    if any(bool(np.any(weights != found[0])) for weights in found[1:]):
        raise NotApplicable("several pairs are the best, with different weights")
    p = tied[0]  # at a vertex, the first pair of several, as public code does
    first = first_of_pair(a[p : p + 1], b[p : p + 1], c[p : p + 1], epsilon, margin)[0]
    return embed(G, (one[p], other[p]), (first, 1 - first))


def best_few(J: Array, count: int) -> Array:
    """The best weights of which at most `count` are not zero, of more gradients than that."""
    if len(J) <= count:
        raise NotApplicable("there is no choice of a few gradients")
    weights = unique_weights(J)
    if sum(bool(a > 0) for a in weights) <= count:
        return weights
    G = J @ J.T
    near = G.astype(float)
    sets = list(combinations(range(len(J)), count))
    blocks = [near[np.ix_(rows, rows)] for rows in sets]
    guesses = [float(a @ block @ a) for block, a in zip(blocks, map(likely_weights, blocks), strict=True)]
    line = min(guesses) + 1e-9 * float(near.max())  # which is far above the rounding of a guess
    best: list[tuple[Array, Scalar]] = []
    for rows, guess in zip(sets, guesses, strict=True):
        if guess <= line:
            block = G[np.ix_(rows, rows)]
            a = nearest_point(block)
            found = embed(G, rows, list(a)), a @ (block @ a)
            if not best or found[1] < best[0][1]:
                best = [found]
            elif found[1] == best[0][1]:
                best.append(found)
    if any(bool(np.any(other != best[0][0])) for other, _ in best[1:]):
        raise NotApplicable("several sets of gradients are the best, with different weights")
    return best[0][0]


def frank_wolfe(J: Array, steps: int, epsilon: Scalar | int = 0) -> Array:
    """Weights after Frank-Wolfe steps with exact line search from equal weights."""
    if steps > LONGEST and J.dtype == "ball":
        rows = exactly(J)
        if rows is not None and len({tuple(map(str, g)) for g in rows.data}) < len(rows):
            raise NotApplicable("equal rows are always tied, which only rational numbers could see")
    G, weights = J @ J.T, uniform(J)
    alone = None
    for n in range(steps):
        if n == LONGEST and J.dtype == "rational":
            raise NotRational("the rational numbers of Frank-Wolfe steps triple in size with each")
        products = G @ weights
        level = weights @ products
        k = int(of(J).argmax(-products, 0))
        if k == alone or not products[k] < level:
            return weights
        step = (level - products[k]) / (level - 2 * products[k] + G[k, k] + epsilon)
        alone = None if step < 1 else k
        step = step if step < 1 else 0 * step + 1
        weights = (1 - step) * weights + embed(G, [k], [step])
    return weights


def pcgrad(J: Array, epsilon: Scalar | int = 0) -> Array:
    """The weights of the rows in the sum of PCGrad, every row projected by the others in their order."""
    G, K = J @ J.T, len(J)
    identity = of(G).onehot(np.arange(K), K, G)
    total = 0 * G[0]
    for i in range(K):
        own = identity[i]
        for j in range(K):
            conflict = own @ G[j]
            if j != i and conflict < 0:
                own = own - conflict / (G[j, j] + epsilon) * identity[j]
        total = total + own
    return total


def units(J: Array, epsilon: Scalar | int = 0) -> Array:
    """``g_k / |g_k|``."""
    lengths = of(J).sqrt(squared_norms(J)) + epsilon
    if any(bool(length == 0) for length in lengths):
        raise NotApplicable("a row of zeros has no direction")
    return J / lengths[:, None]


def normalised_rows(J: Array) -> Array:
    """The min-norm weights of ``g_k / |g_k|``."""
    G, squares = units_checked(J)
    if len(G) == 2:
        return uniform(J)
    balance = vanishing_combination(J)
    if balance is not None:
        lengthened = balance * of(G).sqrt(squares)
        return lengthened / of(G).sum(lengthened, (0,), False)
    if not of(J).exact:
        return optimal_weights(units(J))
    cosines = G / of(G).sqrt(squares[:, None] * squares[None, :])  # of roots: balls, seldom rationals
    return nearest_point(cosines, likely_support(cosines.astype(float)))


def vanishing_combination(J: Array) -> Array | None:
    """The weights at which the rows of `J` sum to zero, decided in rationals where `J` is known exactly, else None.

    With ``sum a_k g_k = 0`` the weights ``a_k |g_k|`` do the same for the normalised rows.
    """
    rows = exactly(J)
    if rows is None:
        return None
    weights = optimal_weights(rows)
    if bool(np.any(rows.T @ weights != 0)):
        return None
    if not is_unique(rows, weights):
        raise NotApplicable("the weights of the normalised rows are not unique")
    return like(J, weights)


def units_checked(J: Array) -> tuple[Array, Array]:
    """The Gram matrix and the squared norms, of rows that are not zero and whose directions differ."""
    rows = exactly(J)
    decided = J if rows is None else rows
    G, squares = decided @ decided.T, squared_norms(decided)
    for i in range(len(G)):
        if squares[i] == 0:
            raise NotApplicable("a row of zeros has no direction")
        if any(G[i, j] > 0 and G[i, j] * G[i, j] == squares[i] * squares[j] for j in range(i)):
            raise NotApplicable("two of the normalised rows are equal")
    return J @ J.T, squared_norms(J)


def normalised_size(J: Array) -> Array:
    """``1 + max 1 / (1 - cos)`` over pairs of rows: a rounding of unit vectors moves their weights by that much."""
    G, squares = units_checked(J)
    one, other = np.array([*combinations(range(len(G)), 2)], int).reshape(-1, 2).T
    if not len(one):
        return 0 * squares[0] + 1
    cosines = G[one, other] / of(G).sqrt(squares[one] * squares[other])
    return of(G).amax(1 + 1 / (1 - cosines), (0,), False)
