"""What is computed in place of the min-norm weights or direction, exactly.

`MIN_NORM_VARIANTS` are weights, for the contract ``min_norm``; `DIRECTION_VARIANTS` are the directions they lead to,
and a few more, for ``mgda_direction``.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import combinations

import numpy as np

from refgrad.backend import of
from refgrad.contracts.multitask.closed_forms import inverse_squared_norm, uniform
from refgrad.contracts.multitask.min_norm import affine_weights, direction, embed, is_unique, min_norm, nearest_point
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.assemble import matrix
from refgrad.errors import SingularMatrix, Undecided
from refgrad.exact import asarray, bounds
from refgrad.typing import Array

__all__ = ["DIRECTION_VARIANTS", "MIN_NORM_VARIANTS"]

Weights = Callable[[Array], Array]


def clamp(J: Array) -> Array:
    """(999/1000, 1/1000) at a vertex of two tasks."""
    if len(J) != 2:
        raise NotApplicable("the clamp is a formula for two tasks")
    return clamped_pair(J @ J.T)


def clamped_pair(G: Array) -> Array:
    """The formula of two tasks with 0.999 and 0.001 at the ends of the segment."""
    a, b, c = G[0, 0], G[0, 1], G[1, 1]
    if b >= a:
        first = 0 * a + Fraction(999, 1000)
    elif b >= c:
        first = 0 * a + Fraction(1, 1000)
    else:
        first = (c - b) / (a + c - 2 * b)
    return embed(G, (0, 1), (first, 1 - first))


def pair_block(G: Array, i: int, j: int) -> Array:
    """The Gram matrix of rows i and j."""
    return matrix(2, G[i, i], G[i, j], G[j, i], G[j, j])


def best_pair(clamped: bool) -> Weights:
    """The best of all pairs, the other weights zero; the pair is chosen by its exact minimum either way."""

    def weights(J: Array) -> Array:
        if len(J) < (3 if clamped else 2):
            raise NotApplicable("there is no choice of a pair")
        G = J @ J.T
        tied: list[tuple[Array, Array]] = []
        best = None
        for i, j in combinations(range(len(G)), 2):
            block = pair_block(G, i, j)
            w = nearest_point(block)
            value = w @ (block @ w)
            if best is None or value < best:
                best, tied = value, []
            if value == best:
                if G[i, i] + G[j, j] == 2 * G[i, j]:
                    raise NotApplicable("the best pair is two equal rows: any weights do")
                tied.append((embed(G, (i, j), tuple(w)), embed(G, (i, j), tuple(clamped_pair(block)))))
        if any(bool(np.any(other != tied[0][0])) for other, _ in tied):
            raise NotApplicable("several pairs are the best, with different weights")
        return tied[0][clamped]  # at a vertex, the first pair of several, as public code does

    return weights


def normalised_rows(J: Array) -> Array:
    """The min-norm weights of ``g_k / |g_k|``."""
    G, squares = units_checked(J)
    if len(G) == 2:
        return uniform(J)
    balance = vanishing_combination(J)
    if balance is not None:
        lengthened = balance * of(G).sqrt(squares)
        return lengthened / of(G).sum(lengthened, (0,), False)
    return nearest_point(G / of(G).sqrt(squares[:, None] * squares[None, :]))  # of roots: balls, never rationals


def vanishing_combination(J: Array) -> Array | None:
    """The weights at which the rows of `J` sum to zero, decided in rationals where `J` is known exactly, else None.

    With ``sum a_k g_k = 0`` the weights ``a_k |g_k|`` do the same for the normalised rows.
    """
    low, high = bounds(J)
    if np.any(low != high):
        return None
    rows = asarray(low)
    weights = min_norm(rows).value
    if bool(np.any(rows.T @ weights != 0)):
        return None
    if not is_unique(rows, weights):
        raise NotApplicable("the weights of the normalised rows are not unique")
    return 0 * J[:, 0] + weights


def units_checked(J: Array) -> tuple[Array, Array]:
    """The Gram matrix and the squared norms, of rows that are not zero and whose directions differ."""
    G, squares = J @ J.T, of(J).sum(J * J, (1,), False)
    for i in range(len(G)):
        if squares[i] == 0:
            raise NotApplicable("a row of zeros has no direction")
        if any(G[i, j] > 0 and G[i, j] * G[i, j] == squares[i] * squares[j] for j in range(i)):
            raise NotApplicable("two of the normalised rows are equal")
    return G, squares


def normalised_size(J: Array) -> Array:
    """``1 + max 1 / (1 - cos)`` over pairs of rows: a rounding of unit vectors moves their weights by that much."""
    G, squares = units_checked(J)
    size = 0 * squares[0] + 1
    for i, j in combinations(range(len(G)), 2):
        size = of(size).maximum(size, 1 + 1 / (1 - G[i, j] / of(G).sqrt(squares[i] * squares[j])))
    return size


def smallest_gradient_only(J: Array) -> Array:
    """All weight on the shortest row."""
    squares = of(J).sum(J * J, (1,), False)
    smallest = int(of(J).argmax(-squares, 0))
    return embed(J @ J.T, [smallest], [0 * squares[0] + 1])


def affine(J: Array) -> Array:
    """The minimiser of sum 1 and any sign: ``G^-1 1``, normalised."""
    try:
        return affine_weights(J @ J.T, range(len(J)))
    except Undecided:  # balls too wide to tell: more bits may
        raise
    except SingularMatrix as error:
        raise NotApplicable("the rows are affinely dependent") from error


def affine_clipped(J: Array) -> Array:
    """The affine minimiser with its negative weights set to 0, normalised again."""
    weights = affine(J)
    kept = of(J).maximum(weights, of(J).zeros_like(weights))
    return kept / of(J).sum(kept, (0,), False)


def one_frank_wolfe_step(J: Array) -> Array:
    """One Frank-Wolfe step with exact line search from uniform weights."""
    G, weights = J @ J.T, uniform(J)
    products = G @ weights
    level = weights @ products
    k = int(of(J).argmax(-products, 0))
    length = level - 2 * products[k] + G[k, k]
    if not (products[k] < level):
        return weights
    step = (level - products[k]) / length
    step = step if step < 1 else 0 * step + 1
    return (1 - step) * weights + embed(G, [k], [step])


def unique_weights(J: Array) -> Array:
    """The right weights, where there is one choice of them."""
    weights = min_norm(J).value
    if not is_unique(J, weights):
        raise NotApplicable("the optimal weights are not unique")
    return weights


def swapped_pair(J: Array) -> Array:
    """The right weights of two tasks, exchanged."""
    if len(J) != 2:
        raise NotApplicable("the exchange is one of two tasks")
    return unique_weights(J)[::-1]


def scaled_by_count(J: Array) -> Array:
    """K times the right weights."""
    return len(J) * unique_weights(J)


SENER = "isl-org/MultiObjectiveOptimization, multi_task/min_norm_solvers.py"
NASH = "AvivNavon/nash-mtl, methods/min_norm_solvers.py"
LIBMTL = "median-research-group/LibMTL, LibMTL/weighting/MGDA.py"

FORMULAS: tuple[tuple[str, str, str, tuple[str, ...], Weights], ...] = (
    (
        "clamp-0.999",
        "a = (999/1000, 1/1000) where the optimum of two tasks is a vertex",
        "the formula of two tasks with weights 0.999 and 0.001 where the optimum is 1 and 0",
        (SENER, NASH, LIBMTL),
        clamp,
    ),
    (
        "best-pair-only",
        "min over pairs (i, j) of the optimum of two tasks",
        "the best pair of tasks, with weight zero for all others",
        (f"{SENER}, _min_norm_2d, the starting point of both solvers",),
        best_pair(clamped=False),
    ),
    (
        "best-pair-clamped",
        "best pair, with 0.999 and 0.001 at a vertex",
        "the best pair of three or more tasks, with weights 0.999 and 0.001 where the optimum of the pair is 1 and 0",
        (f"{SENER}, _min_norm_2d", NASH),
        best_pair(clamped=True),
    ),
    (
        "normalised-rows",
        "the optimum for the rows g_k / |g_k|",
        "the weights of the gradients divided by their norms",
        (f"{SENER}, gradient_normalizers 'l2'", NASH),
        normalised_rows,
    ),
    ("uniform", "a_k = 1 / K", "equal weights", ("the mean of the task losses",), uniform),
    (
        "inverse-squared-norm",
        "a_k proportional to 1 / |g_k|^2",
        "the weights for gradients that are orthogonal to one another",
        (),
        inverse_squared_norm,
    ),
    (
        "smallest-gradient-only",
        "a = e_k with the smallest |g_k|",
        "the shortest gradient alone",
        (),
        smallest_gradient_only,
    ),
    (
        "affine",
        "min |J^T a|^2 over sum a = 1, with a of either sign",
        "the shortest vector of the affine hull: weights may be negative",
        (),
        affine,
    ),
    (
        "affine-clipped",
        "max(a, 0) / sum max(a, 0) of the affine minimiser",
        "the affine minimiser with its negative weights set to zero",
        (),
        affine_clipped,
    ),
    (
        "frank-wolfe-one-step",
        "one step with exact line search from equal weights",
        "one Frank-Wolfe step from equal weights",
        (),
        one_frank_wolfe_step,
    ),
    (
        "swapped-pair",
        "(a_2, a_1)",
        "the weights of two tasks with the tasks exchanged",
        (),
        swapped_pair,
    ),
    (
        "scaled-by-count",
        "K a",
        "the optimal weights times the number of tasks",
        (),
        scaled_by_count,
    ),
)


SIZES: dict[str, Weights] = {"normalised-rows": normalised_size}
"""What a rounding of a formula's own intermediate results does to its weights, where it is more than a rounding."""


def weights_answer(weights: Weights, size: Weights | None = None) -> Callable[[Array], Answer]:
    """An answer of weights, at the scale 1 or at that of `size`."""

    def answer(J: Array) -> Answer:
        a = weights(J)
        ones = of(J).ones_like(a)
        return Answer(a, ones if size is None else size(J) * ones)

    return answer


def direction_answer(weights: Weights, size: Weights | None = None) -> Callable[[Array], Answer]:
    """An answer ``J^T a``, at the scale of the columns of J, times `size`."""

    def answer(J: Array) -> Answer:
        a = weights(J)
        columns = abs(J).T @ of(J).ones_like(a)
        return Answer(J.T @ a, columns if size is None else size(J) * columns)

    return answer


def negated(J: Array) -> Answer:
    """``-v``."""
    truth = direction(J)
    return Answer(-truth.value, truth.magnitude)


def sum_of_gradients(J: Array) -> Answer:
    """``sum_k g_k``."""
    ones = 0 * J[:, 0] + 1
    return Answer(J.T @ ones, abs(J).T @ ones)


def normalised_direction(J: Array) -> Answer:
    """The min-norm point of ``g_k / |g_k|``.

    Where a rounding moves the weights of two unit vectors by ``u / (1 - cos)``, it moves their combination by that
    times their distance: by ``u / sqrt(1 - cos)``.
    """
    units = J / of(J).sqrt(units_checked(J)[1])[:, None]
    v = units.T @ normalised_rows(J)
    return Answer(v, of(J).sqrt(normalised_size(J)) * (abs(units).T @ (0 * units[:, 0] + 1)))


MIN_NORM_VARIANTS: tuple[Variant, ...] = tuple(
    Variant(name, formula, meaning, references, weights_answer(weights, SIZES.get(name)))
    for name, formula, meaning, references, weights in FORMULAS
)

DIRECTION_VARIANTS: tuple[Variant, ...] = (
    *(
        Variant(name, formula, f"the direction for {meaning}", references, direction_answer(weights, SIZES.get(name)))
        for name, formula, meaning, references, weights in FORMULAS
    ),
    Variant("negated", "-J^T a", "the direction with its sign changed", (), negated),
    Variant("sum-of-gradients", "sum_k g_k", "the sum of the gradients", ("the sum of the losses",), sum_of_gradients),
    Variant(
        "normalised-direction",
        "sum_k a_k g_k / |g_k| with the optimal weights of the normalised rows",
        "the shortest vector in the hull of the gradients divided by their norms",
        (f"{SENER}, gradient_normalizers 'l2'",),
        normalised_direction,
    ),
)
