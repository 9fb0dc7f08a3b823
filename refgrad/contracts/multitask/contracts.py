"""The contracts of multi-task gradient descent: ``min_norm`` and ``mgda_direction``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from refgrad.backend import of
from refgrad.contracts.contract import Contract, Failure, Framework, each_kind
from refgrad.contracts.multitask.min_norm import gap_at, optimal_weights, shortfall, squared_norm
from refgrad.contracts.multitask.min_norm_variants import (
    CHOICES,
    WEIGHTS,
    Recipe,
    direction_formula,
    direction_products,
    min_norm_products,
    weights_formula,
)
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.contracts.multitask.wide import DIRECTIONS, WIDE
from refgrad.contracts.regression import Dialect, test_source
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.answer import Answer
from refgrad.typing import Array

__all__ = ["CONTRACTS"]


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(J,)``, of shape (K, n)."""
    return (framework.array(inputs["J"]),)


def error(recipe: Recipe, arguments: tuple[Any, ...], output: Array) -> Array:
    """The duality gap of the weights, plus what they lack of being non-negative with the sum that is meant."""
    return shortfall(arguments[0], unscaled(recipe, arguments[0], output))


def certify(recipe: Recipe, arguments: tuple[Any, ...], output: Array) -> Array:
    """The duality gap of the vector v of the hull that is nearest to a direction d, plus ``|d - v|_1 max_k |g_k|_inf``.

    No weights need be known: of a combination of the rows this is the gap of its weights. The second term is what the
    rates <d, g_k> of the losses may differ from those of v; where all gradients are zero it is ``|d|_1``.
    """
    J = arguments[0]
    d = unscaled(recipe, J, output if recipe.sign == "plus" else -output)
    v = J.T @ optimal_weights(J - d[None, :])
    largest = of(J).amax(abs(J), (0, 1), False)
    largest = largest if largest > 0 else of(J).ones_like(largest)
    return gap_at(J, v) + of(J).sum(abs(d - v), (0,), False) * largest


def unscaled(recipe: Recipe, J: Array, output: Array) -> Array:
    """An output for weights of sum 1, from one for weights of the sum that a recipe states."""
    return output if recipe.scale == "one" else output / len(J) if recipe.scale == "count" else output * len(J)


def unit(arguments: tuple[Any, ...]) -> Answer:
    """The squared norm at the optimum, at the scale of the largest squared norm of a row."""
    return squared_norm(arguments[0])


SUMS = {
    "one": (),
    "count": ("values = [Fraction(value) / len(J) for value in values]",),
    "mean": ("values = [Fraction(value) * len(J) for value in values]",),
}
"""For each convention, what turns weights into those of sum 1."""


def min_norm_regression(recipe: Recipe, failure: Failure) -> str:
    """The source of a test on the duality gap, since the weights need not be unique.

    The tolerance is on what the contract judges by, evaluated in fractions: the squared norm alone would hide an error
    of the weights inside a face, where it grows with the square of that error and the gap with the error itself.
    """
    dialect = Dialect(failure.framework, failure.dtype)
    body = [
        "from fractions import Fraction",
        dialect.constructor(),
        f"J = {failure.problem.inputs['J']!r}",
        "result = subject(array(J))",
        "VALUES",
        *SUMS[recipe.scale],
        "def dot(a, b):\n    return sum(Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True))\n\n",
        "infeasibility = max(abs(sum(map(Fraction, values)) - 1), -Fraction(min(values)), 0)",
        "kept = [max(Fraction(value), 0) for value in values]",
        "direction = [dot(kept, column) / (sum(kept) or 1) for column in zip(*J, strict=True)]",
        "gap = dot(direction, direction) - min(dot(direction, row) for row in J)  # zero only at the optimum",
        "scale = max(dot(row, row) for row in J) or 1",
        f"assert gap + infeasibility * scale <= {float(failure.tolerance)!r}, (values, float(gap))",
    ]
    return test_source(dialect, failure, "min_norm_weights", body)


REFERENCES = (
    "Desideri 2012, Multiple-gradient descent algorithm (MGDA), Comptes Rendus Mathematique 350",
    "Sener and Koltun 2018, Multi-Task Learning as Multi-Objective Optimization, arXiv 1810.04650, eq. (3)",
    "Wolfe 1976, Finding the nearest point in a polytope, Mathematical Programming 11",
)

PARAMETERS = {
    "J": "a matrix of shape (K, n), the gradient of one task in each row; "
    + " and ".join(
        f"{letter} from {WIDE.ranges[name][0]} to {WIDE.ranges[name][-1]}"
        for letter, name in (("K", "gradients"), ("n", "parameters"))
    )
    + "; rows may be zero, equal, opposite, parallel or nearly dependent, and of any length"
}

MIN_NORM_EXAMPLE = """\
import numpy as np
from scipy.optimize import nnls

def min_norm(J):
    size = abs(J).max() or 1.0
    system = np.vstack([J.T / size, np.ones(len(J))])  # min |J^T x|^2 + (sum x - 1)^2 over x >= 0
    x, _ = nnls(system, np.append(np.zeros(J.shape[1]), 1.0))
    return (x / x.sum()).astype(J.dtype)
"""

MGDA_EXAMPLE = (
    MIN_NORM_EXAMPLE
    + """
def direction(J):
    return J.T @ min_norm(J)
"""
)

WEIGHTS_SUM = {"one": "1", "count": "K", "mean": "1/K"}


def min_norm_contract(scale: str = "one") -> Contract:
    """The contract for weights of a sum that is 1, K or 1/K."""
    recipe = Recipe(scale=scale)
    total = WEIGHTS_SUM[recipe.scale]
    return Contract(
        name="min_norm",
        version="1.0",
        summary=f"Weights a >= 0 with sum {total} that minimise |J^T a|^2. They need not be unique: judged by the "
        f"duality gap |v|^2 - min_k <v, g_k>, v = J^T a{'' if total == '1' else ' / sum a'}, and by a >= 0 and sum a = "
        f"{total}.",
        signature="subject(J)",
        returns="weights, shape (K,), for J of shape (K, n), one row for each task",
        references=REFERENCES,
        problems=each_kind(task_gradients),
        arguments=arguments,
        quantity=weights_formula(recipe),
        shape=lambda inputs: (len(inputs["J"]),),
        variants=axes.singles(weights_formula, recipe, WEIGHTS),
        result_field="weights",
        error=partial(error, recipe),
        unit=unit,
        certificate="gap",
        regression=partial(min_norm_regression, recipe),
        parameters=PARAMETERS,
        example=MIN_NORM_EXAMPLE if recipe == Recipe() else "",
        options={} if recipe == Recipe() else {"scale": scale},
        wide=WIDE,
        products=partial(min_norm_products, recipe),
        conventions={"scale": tuple(WEIGHTS_SUM)},
        declared=min_norm_contract,
    )


def mgda_direction_contract(scale: str = "one", sign: str = "plus") -> Contract:
    """The contract for a direction or its negative, and for weights of a sum that is 1, K or 1/K."""
    recipe = Recipe(scale=scale, sign=sign)
    total, sign = WEIGHTS_SUM[recipe.scale], "-" if recipe.sign == "minus" else ""
    times = {"1": "", "K": "K ", "1/K": "1/K "}[total]
    step = "theta + lr d" if sign else "theta - lr d"
    return Contract(
        name="mgda_direction",
        version="1.0",
        summary=f"{f'{sign}{times}times the' if sign or times else 'The'} shortest vector J^T a in the convex hull of "
        f"the rows of J; the descent step is {step}.",
        signature="subject(J)",
        returns=f"d = {sign}{times}J^T a, shape (n,), for J of shape (K, n), one row for each task",
        references=REFERENCES,
        problems=each_kind(task_gradients),
        arguments=arguments,
        quantity=direction_formula(recipe),
        shape=lambda inputs: (len(inputs["J"][0]),),
        variants=axes.singles(direction_formula, recipe, CHOICES),
        result_field="direction",
        certificate="gap",
        certify=partial(certify, recipe),
        parameters=PARAMETERS,
        example=MGDA_EXAMPLE if recipe == Recipe() else "",
        options={} if recipe == Recipe() else {"scale": scale, "sign": sign},
        wide=DIRECTIONS,
        products=partial(direction_products, recipe),
        conventions={"scale": tuple(WEIGHTS_SUM), "sign": ("plus", "minus")},
        declared=mgda_direction_contract,
    )


CONTRACTS = (min_norm_contract(), mgda_direction_contract())
