"""The contracts of multi-task gradient descent: ``min_norm`` and ``mgda_direction``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refgrad.contracts.contract import Contract, Failure, Framework, each_kind
from refgrad.contracts.multitask.min_norm import direction, min_norm, shortfall, squared_norm
from refgrad.contracts.multitask.min_norm_variants import DIRECTION_VARIANTS, MIN_NORM_VARIANTS
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.contracts.regression import Dialect, test_source
from refgrad.contracts.tools.answer import Answer
from refgrad.typing import Array

__all__ = ["CONTRACTS"]


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(J,)``, of shape (K, n)."""
    return (framework.array(inputs["J"]),)


def error(arguments: tuple[Any, ...], output: Array) -> Array:
    """The duality gap of the weights, plus what they lack of being non-negative with sum 1."""
    return shortfall(arguments[0], output)


def unit(arguments: tuple[Any, ...]) -> Answer:
    """The squared norm at the optimum, at the scale of the largest squared norm of a row."""
    return squared_norm(arguments[0])


def min_norm_regression(failure: Failure) -> str:
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
    "J": "a matrix of shape (K, n), the gradient of one task in each row; K from 1 to 6, and rows may be zero, equal, "
    "opposite or parallel"
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

MIN_NORM = Contract(
    name="min_norm",
    version="1.0",
    summary="Weights a >= 0 with sum 1 that minimise |J^T a|^2. They need not be unique: judged by the duality gap "
    "|v|^2 - min_k <v, g_k>, v = J^T a, and by a >= 0 and sum a = 1.",
    signature="subject(J)",
    returns="weights, shape (K,), for J of shape (K, n), one row for each task",
    references=REFERENCES,
    problems=each_kind(task_gradients),
    arguments=arguments,
    quantity=min_norm,
    shape=lambda inputs: (len(inputs["J"]),),
    variants=MIN_NORM_VARIANTS,
    result_field="weights",
    error=error,
    unit=unit,
    certificate="gap",
    regression=min_norm_regression,
    parameters=PARAMETERS,
    example=MIN_NORM_EXAMPLE,
)

MGDA_EXAMPLE = (
    MIN_NORM_EXAMPLE
    + """
def direction(J):
    return J.T @ min_norm(J)
"""
)

MGDA_DIRECTION = Contract(
    name="mgda_direction",
    version="1.0",
    summary="The shortest vector J^T a in the convex hull of the rows of J; the descent step is theta - lr d.",
    signature="subject(J)",
    returns="d = J^T a, shape (n,), for J of shape (K, n), one row for each task",
    references=REFERENCES,
    problems=each_kind(task_gradients),
    arguments=arguments,
    quantity=direction,
    shape=lambda inputs: (len(inputs["J"][0]),),
    variants=DIRECTION_VARIANTS,
    result_field="direction",
    parameters=PARAMETERS,
    example=MGDA_EXAMPLE,
)

CONTRACTS = (MIN_NORM, MGDA_DIRECTION)
