"""Strategies of meta-learning problems whose tasks are the quadratics ``1/2 (theta - c)^T A (theta - c)``.

For these, what adaptation by gradient descent does has a closed form in powers of ``I - lr A``, and adaptation with a
proximal term one in the inverse of ``I + A / lam``. Methods are told apart by tasks that differ in A and in c, by a
step at which A matters, and the order in which the matrices of a product are applied by an A for each task that does
not commute with the others. Most draws have all of these.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad.strategies.matrices import ill_conditioned, spd, step_size, turned_round, unit_triangular
from refgrad.strategies.numbers import halves, integers, powers_of_two, rationals, rough, vector

__all__ = ["quadratic_tasks", "rational_tasks"]

SHAPES = ((1, 1), (2, 2), (2, 3), (3, 2), (3, 3), (1, 2), (2, 2), (3, 2))
"""(d, tasks), the simplest first."""

SPECTRAL_SHAPES = ((2, 1), (2, 2), (4, 2), (4, 3))
"""(d, tasks) of problems whose matrices have a chosen spectrum."""

DENOMINATORS = (1, 3, 5, 3, 6)
"""Of rational tasks, most of which no float holds."""

Problem = dict[str, Any]


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
    d, count = draw(st.sampled_from(SPECTRAL_SHAPES if kind == "ill_conditioned" else SHAPES))
    steps, halvings, lam = draw(st.sampled_from((1, 2, 2, 3))), draw(st.integers(0, 1)), draw(powers_of_two())
    change = draw(st.sampled_from((isotropic, repeated, agreeing, solved))) if kind == "degenerate" else None
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


def isotropic(problem: Problem) -> Problem:
    """Every A a multiple of the identity: all of them commute."""
    eye = np.eye(len(problem["theta"]))
    return {**problem, "tasks": [{**task, "A": (task["A"][0][0] * eye).tolist()} for task in problem["tasks"]]}


def repeated(problem: Problem) -> Problem:
    """The first task, as often as there were tasks."""
    return {**problem, "tasks": [problem["tasks"][0] for _ in problem["tasks"]]}


def agreeing(problem: Problem) -> Problem:
    """Tasks with the optimum of the first."""
    return {**problem, "tasks": [{**task, "c": problem["tasks"][0]["c"]} for task in problem["tasks"]]}


def solved(problem: Problem) -> Problem:
    """Tasks with the start for their optimum."""
    return {**problem, "tasks": [{**task, "c": problem["theta"]} for task in problem["tasks"]]}


@st.composite
def rational_tasks(draw: Any) -> Problem:
    """The inputs of `quadratic_tasks` in Fractions, most of them with denominators that no float has.

    They are for identities in exact arithmetic, which a formula can satisfy on halves and quarters by chance. Each A is
    ``L D L^T`` with a unit lower triangular L and a positive diagonal D, and `lr` one or one half of the reciprocal of
    the largest trace plus one.
    """
    d, count = draw(st.sampled_from(SHAPES))
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
