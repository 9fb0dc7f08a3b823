"""Strategies of two linear regressions learnt one after the other, for penalties that keep the first.

With squared errors everything about consolidation has a closed form: the Fisher information of the first task is its
``X^T X`` up to scale, and the penalised optimum that of ridge regression on both. ``X^T X`` is invertible because the
first rows of X form a unit triangular matrix. Diagonal and full Fisher information, sums and means over examples, and
the tasks themselves are told apart by correlated features, different numbers of examples and different optima.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.strategies.matrices import unit_triangular
from refgrad.strategies.numbers import entries, matrix, powers_of_two, vector

__all__ = ["consecutive_regressions"]

SHAPES = ((1, 1, 1), (2, 2, 3), (2, 3, 2), (2, 4, 3), (3, 4, 3), (3, 3, 5))
"""(features, examples of A, examples of B), the simplest first."""

Problem = dict[str, Any]


@st.composite
def consecutive_regressions(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``X_A, y_A, X_B, y_B, lam``, as nested lists of shapes (N_A, d), (N_A,), (N_B, d) and (N_B,).

    `lam`, the weight of the penalty, is a power of two from 1/2 to 4.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers. ``"rough"``: full float32 mantissas but for the ones and zeros that make the first d rows
        triangular. ``"ill_conditioned"``: features that differ by a 64th of an integer from the first.
        ``"degenerate"``: task B equal to task A, the same optimum, features that are uncorrelated, no penalty.
    """
    d, *examples = draw(st.sampled_from(SHAPES))
    problem: Problem = {"lam": draw(powers_of_two())}
    change = nearly_collinear if kind == "ill_conditioned" else None
    if kind == "degenerate":
        change = draw(st.sampled_from((same, agreeing, uncorrelated, unpenalised)))
    for task, count in zip("AB", examples, strict=True):
        first, more = draw(unit_triangular(d, entries(kind))), draw(matrix(entries(kind), count - d, d))
        problem |= {f"X_{task}": first + more, f"y_{task}": draw(vector(entries(kind), count))}
    return problem if change is None else change(problem)


def nearly_collinear(problem: Problem) -> Problem:
    """Every feature but the first a 64th of itself plus the first."""
    d = len(problem["X_A"][0])
    change = np.eye(d) / 64
    change[0] = 1
    return {**problem, **{name: (np.array(problem[name]) @ change).tolist() for name in ("X_A", "X_B")}}


def same(problem: Problem) -> Problem:
    """Task B with the data of task A."""
    return {**problem, "X_B": problem["X_A"], "y_B": problem["y_A"]}


def agreeing(problem: Problem) -> Problem:
    """Targets zero: the optimum of both tasks is zero."""
    return {**problem, **{name: [0.0] * len(problem[name]) for name in ("y_A", "y_B")}}


def uncorrelated(problem: Problem) -> Problem:
    """Each example with one feature: the Fisher information is diagonal."""
    d = len(problem["X_A"][0])
    return {**problem, **{name: np.eye(d)[np.arange(len(problem[name])) % d].tolist() for name in ("X_A", "X_B")}}


def unpenalised(problem: Problem) -> Problem:
    """A penalty of weight zero."""
    return {**problem, "lam": 0.0}
