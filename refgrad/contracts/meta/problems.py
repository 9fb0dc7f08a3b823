"""Strategies of meta-learning problems: few examples of each task with any loss, and tasks that are quadratics.

`few_shot` draws a start, tasks with support and query sets, a learning rate, inner steps. A problem separates the known
formulas only if it has at least two inner steps (the order of the Jacobians), two tasks (mean or sum), two support
examples in two dimensions (Hessians that do not commute), query and support sets that differ, and a learning rate at
which the Hessian matters. Most draws have all of these; the rest shrink.

`quadratic_tasks` and `rational_tasks` draw the quadratics ``1/2 (theta - c)^T A (theta - c)``, for which adaptation by
gradient descent has a closed form in powers of ``I - lr A``, and adaptation with a proximal term one in the inverse of
``I + A / lam``. Methods are told apart by tasks that differ in A and in c, by a step at which A matters, and the order
in which the matrices of a product are applied by an A for each task that does not commute with the others.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.strategies.matrices import ill_conditioned, spd, step_size, turned_round, unit_triangular
from refgrad.strategies.numbers import entries, halves, integers, matrix, powers_of_two, rationals, rough, vector

__all__ = ["few_shot", "quadratic_tasks", "rational_tasks"]

Problem = dict[str, Any]

SHAPES = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 3, 2), (3, 2, 2))
"""(d, examples in a support set, examples in a query set), the simplest first."""


@st.composite
def few_shot(draw: Any, kind: str = "crisp") -> Problem:
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
        tasks = [[[X, targets_off_by(X, theta, y)] for X, y in task] for task in tasks]
    if kind == "degenerate":
        tasks = draw(st.sampled_from((fit_supports, featureless, repeat_first)))(tasks, theta)
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


def targets_off_by(X: list[list[float]], theta: list[float], y: list[float]) -> list[float]:
    """Targets for which ``X theta`` has the residuals `-y`."""
    return [float(p + Fraction(t)) for p, t in zip(predictions(X, theta), y, strict=True)]


def fit_supports(tasks: list[Any], theta: list[float]) -> list[Any]:
    """Supports that the start fits exactly: there is nothing to adapt to."""
    return [[[S, [float(p) for p in predictions(S, theta)]], query] for (S, _), query in tasks]


def featureless(tasks: list[Any], theta: list[float]) -> list[Any]:
    """Supports whose features are all zero."""
    return [[[[[0.0] * len(theta) for _ in S], y], query] for (S, y), query in tasks]


def repeat_first(tasks: list[Any], theta: list[float]) -> list[Any]:
    """The first task, as often as there were tasks."""
    return [tasks[0] for _ in tasks]


QUADRATIC_SHAPES = ((1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (1, 2), (2, 2), (3, 2))
"""(d, tasks), the simplest first."""

SPECTRAL_SHAPES = ((2, 1), (2, 2), (4, 2), (4, 3))
"""(d, tasks) of problems whose matrices have a chosen spectrum."""

DENOMINATORS = (1, 3, 5, 3, 6)
"""Of rational tasks, most of which no float holds."""


@st.composite
def quadratic_tasks(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``theta, tasks, lr, steps, lam``, as nested lists; a task is ``{"A": (d, d), "c": (d,)}``.

    Each A is positive definite. `lr` is a power of two below the reciprocal of the largest of their traces, so that
    every step contracts; `steps` is from 1 to 3; `lam`, the weight of a proximal term, is a power of two from 1/2 to 4.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers, and halves in theta. ``"rough"``: full float32 mantissas in theta and c, multiples of
        2^-12 in A. ``"ill_conditioned"``: eigenvalues of each A are powers of two, the largest from 2^2 to 2^14 times
        the smallest. ``"degenerate"``: tasks that commute, are equal, have the same optimum, or nothing to learn.
    """
    d, count = draw(st.sampled_from(SPECTRAL_SHAPES if kind == "ill_conditioned" else QUADRATIC_SHAPES))
    steps, halvings, lam = draw(st.sampled_from((1, 2, 2, 3))), draw(st.integers(0, 1)), draw(powers_of_two())
    change = draw(st.sampled_from((commuting, equal, agreeing, at_optimum))) if kind == "degenerate" else None
    theta = draw(vector(rough() if kind == "rough" else halves(), d))
    curvature = ill_conditioned(d) if kind == "ill_conditioned" else spd(d, kind)
    centre = vector(rough() if kind == "rough" else integers(3), d)
    tasks = [{"A": draw(curvature), "c": draw(centre)} for _ in range(count)]
    for task in tasks[1::2]:
        task["A"] = turned_round(task["A"])
    problem = {"theta": theta, "tasks": tasks}
    if change is not None:
        problem = change(problem)
    lr = step_size([task["A"] for task in problem["tasks"]]) / 2**halvings
    return {**problem, "lr": lr, "steps": steps, "lam": lam}


def commuting(problem: Problem) -> Problem:
    """Every A a multiple of the identity: all of them commute."""
    eye = np.eye(len(problem["theta"]))
    return {**problem, "tasks": [{**task, "A": (task["A"][0][0] * eye).tolist()} for task in problem["tasks"]]}


def equal(problem: Problem) -> Problem:
    """The first task, as often as there were tasks."""
    return {**problem, "tasks": [problem["tasks"][0] for _ in problem["tasks"]]}


def agreeing(problem: Problem) -> Problem:
    """Tasks with the optimum of the first."""
    return {**problem, "tasks": [{**task, "c": problem["tasks"][0]["c"]} for task in problem["tasks"]]}


def at_optimum(problem: Problem) -> Problem:
    """Tasks with the start for their optimum."""
    return {**problem, "tasks": [{**task, "c": problem["theta"]} for task in problem["tasks"]]}


@st.composite
def rational_tasks(draw: Any) -> Problem:
    """The inputs of `quadratic_tasks` in Fractions, most of them with denominators that no float has.

    They are for identities in exact arithmetic, which a formula can satisfy on halves and quarters by chance. Each A is
    ``L D L^T`` with a unit lower triangular L and a positive diagonal D, and `lr` one or one half of the reciprocal of
    the largest trace plus one.
    """
    d, count = draw(st.sampled_from(QUADRATIC_SHAPES))
    steps, lam = draw(st.sampled_from((1, 2, 2, 3))), draw(positive())
    theta = draw(vector(rationals(2, DENOMINATORS), d))
    tasks = [{"A": draw(rational_spd(d)), "c": draw(vector(rationals(3, DENOMINATORS), d))} for _ in range(count)]
    largest = max(sum(task["A"][i][i] for i in range(d)) for task in tasks)
    return {
        "theta": theta,
        "tasks": tasks,
        "lr": 1 / (largest + 1) / draw(st.integers(1, 2)),
        "steps": steps,
        "lam": lam,
    }


@st.composite
def rational_spd(draw: Any, n: int) -> list[list[Fraction]]:
    """Positive definite matrices of order `n` in Fractions; simplest the identity."""
    rows = draw(unit_triangular(n, rationals(2, DENOMINATORS)))
    L = np.array([[Fraction(entry) for entry in row] for row in rows], object)
    D = np.array(draw(vector(positive(), n)), object)
    return ((L * D) @ L.T).tolist()  # type: ignore[no-any-return]


def positive() -> st.SearchStrategy[Fraction]:
    """Fractions from 1/6 to 4; simplest 1."""
    return st.builds(Fraction, st.integers(1, 4), st.sampled_from(DENOMINATORS))
