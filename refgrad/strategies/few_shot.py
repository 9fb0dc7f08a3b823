"""Strategies of meta-learning problems: a start, tasks with support and query sets, a learning rate, inner steps.

A problem separates the known formulas only if it has at least two inner steps (the order of the Jacobians), two
tasks (mean or sum), two support examples in two dimensions (Hessians that do not commute), query and support sets
that differ, and a learning rate at which the Hessian matters. Most draws have all of these; the rest shrink.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from refgrad.strategies.numbers import entries, halves, matrix, rough, vector

__all__ = ["few_shot"]

SHAPES = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 3, 2), (3, 2, 2))
"""(d, examples in a support set, examples in a query set), the simplest first."""


@st.composite
def few_shot(draw: Any, kind: str = "crisp") -> dict[str, Any]:
    """Inputs ``theta, tasks, lr, steps`` of the contracts on MAML, as nested lists.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers. ``"rough"``: full float32 mantissas. ``"ill_conditioned"``: targets that cancel all
        but a thousandth of the prediction. ``"degenerate"``: supports already solved, empty features, equal tasks.

    Notes
    -----
    The learning rate is a power of two at or just below the reciprocal of the largest trace of the supports' Hessians
    of a quartic loss at the start, or half of that: adaptation then moves the parameters and does not diverge.
    """
    d, support, query = draw(st.sampled_from(SHAPES))
    count = draw(st.sampled_from((1, 2, 2, 3)))
    steps = draw(st.sampled_from((1, 2, 2, 3)))
    theta = draw(vector(rough() if kind == "rough" else halves(), d))
    tasks = [[draw(batch(kind, n, d)) for n in (support, query)] for _ in range(count)]
    if kind == "ill_conditioned":
        theta = [256.0 + value / 8 for value in theta]
        tasks = [[[X, shifted(X, theta, y)] for X, y in task] for task in tasks]
    if kind == "degenerate":
        tasks = draw(st.sampled_from((solved, featureless, repeated)))(tasks, theta)
    steepness = max(trace(X, y, theta) for (X, y), _ in tasks)
    doublings = max(1, math.ceil(math.log2(steepness))) if steepness > 0 else 1
    lr = 2.0 ** -(doublings + draw(st.integers(0, 1)))
    return {"theta": theta, "tasks": tasks, "lr": lr, "steps": steps}


def batch(kind: str, n: int, d: int) -> st.SearchStrategy[list[Any]]:
    """``[X, y]`` of shapes (n, d) and (n,)."""
    return st.tuples(matrix(entries(kind), n, d), vector(entries(kind), n)).map(list)


def predictions(X: list[list[float]], theta: list[float]) -> list[Fraction]:
    """``X theta``, exactly."""
    return [sum((Fraction(a) * Fraction(b) for a, b in zip(row, theta, strict=True)), Fraction(0)) for row in X]


def trace(X: list[list[float]], y: list[float], theta: list[float]) -> float:
    """The trace of the Hessian of the mean of ``(x . theta - y)^4 / 4``."""
    terms = [
        3 * (p - Fraction(t)) ** 2 * sum(Fraction(a) ** 2 for a in row)
        for row, p, t in zip(X, predictions(X, theta), y, strict=True)
    ]
    return float(sum(terms, Fraction(0)) / len(terms))


def shifted(X: list[list[float]], theta: list[float], y: list[float]) -> list[float]:
    """Targets for which ``X theta`` has the residuals `-y`."""
    return [float(p + Fraction(t)) for p, t in zip(predictions(X, theta), y, strict=True)]


def solved(tasks: list[Any], theta: list[float]) -> list[Any]:
    """Supports that the start fits exactly: there is nothing to adapt to."""
    return [[[S, [float(p) for p in predictions(S, theta)]], query] for (S, _), query in tasks]


def featureless(tasks: list[Any], theta: list[float]) -> list[Any]:
    """Supports whose features are all zero."""
    return [[[[[0.0] * len(theta) for _ in S], y], query] for (S, y), query in tasks]


def repeated(tasks: list[Any], theta: list[float]) -> list[Any]:
    """The first task, as often as there were tasks."""
    return [tasks[0] for _ in tasks]
