"""What is computed in place of the min-norm weights or direction, along the axes of a recipe.

`MIN_NORM_VARIANTS` are weights, for the contract ``min_norm``; `DIRECTION_VARIANTS` are the directions they lead to,
and a few more, for ``mgda_direction``; `min_norm_products` and `direction_products` deviate in two ways.

Rows may be normalised by their lengths, but not by losses, which the call does not have; centred rows have equal
weights for an optimum, which is the choice ``uniform``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from refgrad.backend import of
from refgrad.contracts.multitask import methods
from refgrad.contracts.multitask.min_norm import Stated, columns, on_rationals, ones, optimal_weights, shortest_vector
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.contracts.tools.axes import Choice
from refgrad.typing import Array

__all__ = [
    "DIRECTION_VARIANTS", "MIN_NORM_VARIANTS", "Recipe", "direction_formula", "direction_products",
    "min_norm_products", "weights_formula",
]  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How weights, and from them a direction, are computed; the defaults are the contracts' own choices.

    Attributes
    ----------
    rows : str
        ``"as they are"``, or ``"units"`` for ``g_k / |g_k|``.
    method : str
        ``"exact"`` or a name of `METHODS`.
    steps : int
        Of Frank-Wolfe.
    margin : int
        At a vertex, the formula of two tasks gives ``1 - margin / 1000``.
    least : int
        No weight is less than ``least / 1000`` before they are divided by their sum; of 0 they stay as they are.
    after : str
        What is done to the weights: ``"nothing"``, ``"clipped"``, ``"softmax"``, ``"swapped"``.
    epsilon : int
        Denominators have ``10^-epsilon`` added; of 0 they have not.
    scale : str
        The sum of the weights: ``"one"``, ``"count"`` for K, ``"mean"`` for 1 / K.
    combined : str
        The rows that a direction combines, ``"as they are"`` or ``"units"``.
    sign : str
        ``"plus"`` for the direction, ``"minus"`` for what is added to the parameters.
    length : str
        Of the direction: ``"its own"`` or ``"one"``.
    """

    rows: str = "as they are"
    method: str = "exact"
    steps: int = 0
    margin: int = 0
    least: int = 0
    after: str = "nothing"
    epsilon: int = 0
    scale: str = "one"
    combined: str = "as they are"
    sign: str = "plus"
    length: str = "its own"


METHODS: dict[str, Callable[[Array, Recipe, Any, Any], Array]] = {
    "best pair": lambda J, recipe, epsilon, margin: methods.best_pair(J, epsilon, margin),
    "best three": lambda J, recipe, epsilon, margin: methods.best_few(J, 3),
    "uniform": lambda J, recipe, epsilon, margin: methods.uniform(J),
    "inverse norms": lambda J, recipe, epsilon, margin: methods.inverse_norm(J, epsilon),
    "inverse squared norms": lambda J, recipe, epsilon, margin: methods.inverse_squared_norm(J, epsilon),
    "shortest": lambda J, recipe, epsilon, margin: methods.shortest(J),
    "affine": lambda J, recipe, epsilon, margin: methods.affine(J),
    "frank-wolfe": lambda J, recipe, epsilon, margin: methods.frank_wolfe(J, recipe.steps, epsilon),
    "pcgrad": lambda J, recipe, epsilon, margin: methods.pcgrad(J, epsilon),
    "sum": lambda J, recipe, epsilon, margin: 0 * J[:, 0] + 1,
}


def weights_of(J: Array, recipe: Recipe) -> Array:
    """The weights of a recipe, before they are scaled."""
    if recipe.method == "shortest" and recipe.rows == "units":
        raise NotApplicable("of rows of one length none is the shortest")  # but by their rounding
    one = 0 * J[0, 0] + 1
    epsilon, margin = (
        one / 10**recipe.epsilon if recipe.epsilon else 0,
        one * recipe.margin / 1000 if recipe.margin else 0,
    )
    if recipe.method == "exact" and recipe.rows == "units" and not recipe.epsilon and not recipe.margin:
        a = methods.normalised_rows(J)
    else:
        rows = methods.units(J, epsilon) if recipe.rows == "units" else J
        if recipe.method != "exact":
            a = METHODS[recipe.method](rows, recipe, epsilon, margin)
        elif recipe.epsilon or recipe.margin:
            a = methods.pair(rows, epsilon, margin)
        else:
            a = methods.unique_weights(rows)
    if recipe.least:
        least = of(a).maximum(a, 0 * a + one * recipe.least / 1000)
        a = least / of(a).sum(least, (0,), False)
    return AFTER[recipe.after](a)


def clipped(a: Array) -> Array:
    """Negative weights set to 0, the others divided by their sum."""
    kept = of(a).maximum(a, of(a).zeros_like(a))
    return kept / of(a).sum(kept, (0,), False)


def softmax(a: Array) -> Array:
    """``exp(a_k) / sum_j exp(a_j)``."""
    return of(a).exp(a) / of(a).sum(of(a).exp(a), (0,), False)


def swapped(a: Array) -> Array:
    """The weights of two tasks, exchanged."""
    if len(a) != 2:
        raise NotApplicable("the exchange is one of two tasks")
    return a[::-1]


AFTER: dict[str, Callable[[Array], Array]] = {
    "nothing": lambda a: a,
    "clipped": clipped,
    "softmax": softmax,
    "swapped": swapped,
}


def weights_formula(recipe: Recipe) -> Stated:
    """The formula of a recipe's weights, shape (K,). The magnitude is 1, or what a rounding of unit rows does."""
    plain = replace(recipe, scale="one") == Recipe()

    def formula(J: Array) -> Array:
        return scaled(J, optimal_weights(J) if plain else weights_of(J, recipe), recipe)

    def magnitude(J: Array) -> Array:
        return ones(J) if recipe.rows == "as they are" else methods.normalised_size(J) * ones(J)

    return Stated(on_rationals(formula), magnitude)


def direction_formula(recipe: Recipe) -> Stated:
    """The formula of a recipe's direction, shape (n,).

    The magnitude is the sum of every column's absolute values; of the contract's own direction it is the largest.
    """
    plain = replace(recipe, scale="one", sign="plus", length="its own") == Recipe()

    def formula(J: Array) -> Array:
        if plain:
            d = shortest_vector(J)  # which is unique even where the weights are not
        else:
            rows = J if recipe.combined == "as they are" else methods.units(J)
            d = rows.T @ weights_of(J, recipe)
        if recipe.length == "one":
            if not (d @ d > 0):
                raise NotApplicable("a direction of length zero")
            d = d / of(d).sqrt(d @ d)
        return scaled(J, -d if recipe.sign == "minus" else d, recipe)

    def magnitude(J: Array) -> Array:
        if recipe.length == "one":
            return scaled(J, ones(J.T), recipe)
        rows = J if recipe.combined == "as they are" else methods.units(J)
        sizes = scaled(J, columns(J) if plain else abs(rows).T @ ones(J), recipe)
        if recipe.rows == "as they are":
            return sizes
        # a rounding moves the weights of two unit vectors by u / (1 - cos), and their combination by that times their
        # distance
        size = methods.normalised_size(J)
        return (size if recipe.combined == "as they are" else of(size).sqrt(size)) * sizes

    return Stated(on_rationals(formula), magnitude)


def scaled(J: Array, x: Array, recipe: Recipe) -> Array:
    """`x` for weights of the sum that a recipe states."""
    return x if recipe.scale == "one" else len(J) * x if recipe.scale == "count" else x / len(J)


SENER = "isl-org/MultiObjectiveOptimization, multi_task/min_norm_solvers.py"
NASH = "AvivNavon/nash-mtl, methods/min_norm_solvers.py"
LIBMTL = "median-research-group/LibMTL, LibMTL/weighting/MGDA.py"
PCGRAD = "Yu et al. 2020, Gradient Surgery for Multi-Task Learning, arXiv 2001.06782, algorithm 1"

WEIGHTS = (
    Choice("clamp-0.999", "a = (999/1000, 1/1000) where the optimum of two tasks is a vertex",
           "the formula of two tasks with weights 0.999 and 0.001 where the optimum is 1 and 0", {"margin": 1},
           (SENER, NASH, LIBMTL)),
    Choice("clamp-0.98", "a = (98/100, 2/100) where the optimum of two tasks is a vertex",
           "the formula of two tasks with weights 0.98 and 0.02 where the optimum is 1 and 0", {"margin": 20}),
    Choice("best-pair-only", "min over pairs (i, j) of the optimum of two tasks",
           "the best pair of tasks, with weight zero for all others", {"method": "best pair"},
           (f"{SENER}, _min_norm_2d, the starting point of both solvers",)),
    Choice("best-pair-clamped", "best pair, with 0.999 and 0.001 at a vertex",
           "the best pair of three or more tasks, with weights 0.999 and 0.001 where the optimum of the pair is 1 and "
           "0", {"method": "best pair", "margin": 1}, (f"{SENER}, _min_norm_2d", NASH)),
    Choice("best-three-only", "min over sets of three rows of their optimum",
           "the best three of more tasks, with weight zero for all others", {"method": "best three"}),
    Choice("normalised-rows", "the optimum for the rows g_k / |g_k|",
           "the weights of the gradients divided by their norms", {"rows": "units"},
           (f"{SENER}, gradient_normalizers 'l2'", NASH)),
    Choice("uniform", "a_k = 1 / K", "equal weights", {"method": "uniform"}, ("the mean of the task losses",)),
    Choice("inverse-squared-norm", "a_k proportional to 1 / |g_k|^2",
           "the weights for gradients that are orthogonal to one another", {"method": "inverse squared norms"}),
    Choice("inverse-norm", "a_k proportional to 1 / |g_k|", "weights that give all gradients one length",
           {"method": "inverse norms"}),
    Choice("smallest-gradient-only", "a = e_k with the smallest |g_k|", "the shortest gradient alone",
           {"method": "shortest"}),
    Choice("affine", "min |J^T a|^2 over sum a = 1, with a of either sign",
           "the shortest vector of the affine hull: weights may be negative", {"method": "affine"}),
    Choice("affine-clipped", "max(a, 0) / sum max(a, 0) of the affine minimiser",
           "the affine minimiser with its negative weights set to zero", {"method": "affine", "after": "clipped"}),
    Choice("frank-wolfe-one-step", "one step with exact line search from equal weights",
           "one Frank-Wolfe step from equal weights", {"method": "frank-wolfe", "steps": 1}),
    Choice("frank-wolfe-two-steps", "two steps with exact line search from equal weights",
           "two Frank-Wolfe steps from equal weights", {"method": "frank-wolfe", "steps": 2}),
    Choice("frank-wolfe-ten-steps", "ten steps with exact line search from equal weights",
           "ten Frank-Wolfe steps from equal weights", {"method": "frank-wolfe", "steps": 10}),
    Choice("at-least-0.001", "max(a_k, 1/1000) / sum_j max(a_j, 1/1000)",
           "the optimal weights, none less than 0.001, divided by their sum", {"least": 1}),
    Choice("at-least-0.02", "max(a_k, 2/100) / sum_j max(a_j, 2/100)",
           "the optimal weights, none less than 0.02, divided by their sum", {"least": 20}),
    Choice("softmax", "softmax(a)", "the softmax of the optimal weights", {"after": "softmax"}),
    Choice("swapped-pair", "(a_2, a_1)", "the weights of two tasks with the tasks exchanged", {"after": "swapped"}),
    Choice("epsilon-1e-8", "(c - b) / (a + c - 2 b + 1e-8), a = |g_1|^2, b = <g_1, g_2>, c = |g_2|^2",
           "the formula of two tasks with 1e-8 added to its denominator", {"epsilon": 8}),
    Choice("scaled-by-count", "K a", "the optimal weights times the number of tasks", {"scale": "count"},
           declare="scale=count"),
    Choice("divided-by-count", "a / K", "the optimal weights divided by the number of tasks", {"scale": "mean"},
           declare="scale=mean"),
    Choice("of-sum-one", "a", "the optimal weights, which add up to one", {"scale": "one"}, declare="scale=one"),
)  # fmt: skip
"""The deviations of weights."""

DIRECTIONS = (
    *WEIGHTS,
    Choice("negated", "-J^T a", "the vector with its sign changed", {"sign": "minus"}, declare="sign=minus"),
    Choice("sum-of-gradients", "sum_k g_k", "the sum of the gradients", {"method": "sum"}, ("the sum of the losses",)),
    Choice("normalised-direction", "sum_k a_k g_k / |g_k| with the optimal weights of the normalised rows",
           "the shortest vector in the hull of the gradients divided by their norms",
           {"rows": "units", "combined": "units"}, (f"{SENER}, gradient_normalizers 'l2'", f"{LIBMTL}, mgda_gn 'l2'")),
    Choice("positive", "J^T a", "the vector without a change of sign", {"sign": "plus"}, declare="sign=plus"),
    Choice("unit-length", "J^T a / |J^T a|", "the vector divided by its length", {"length": "one"}),
    Choice("pcgrad", "sum_i g_i'", "PCGrad: every gradient projected by the others", {"method": "pcgrad"}, (PCGRAD,)),
    Choice("pcgrad-mean", "1/K sum_i g_i'", "PCGrad with the mean of the projected gradients",
           {"method": "pcgrad", "scale": "mean"}, ("WeiChengTseng/Pytorch-PCGrad, pcgrad.py, reduction 'mean'",)),
)  # fmt: skip
"""The deviations of directions."""


def _worded(choice: Choice) -> Choice:
    """A choice of weights, said of the direction."""
    if choice not in WEIGHTS:
        return choice
    return Choice(
        choice.name,
        choice.formula,
        f"the direction for {choice.meaning}",
        choice.changes,
        choice.references,
        choice.declare,
    )


CHOICES = tuple(map(_worded, DIRECTIONS))
MIN_NORM_VARIANTS = axes.singles(weights_formula, Recipe(), WEIGHTS)
DIRECTION_VARIANTS = axes.singles(direction_formula, Recipe(), CHOICES)


@cache
def min_norm_products(base: Recipe = Recipe()) -> tuple[Variant, ...]:
    """Weights that deviate in two ways."""
    return axes.products(weights_formula, base, WEIGHTS)


@cache
def direction_products(base: Recipe = Recipe()) -> tuple[Variant, ...]:
    """Directions that deviate in two ways."""
    return axes.products(direction_formula, base, CHOICES)
