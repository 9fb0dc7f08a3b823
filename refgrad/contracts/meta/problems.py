"""Strategies of meta-learning problems: few examples of each task with some loss, and tasks that are quadratics.

`few_shot` draws a loss, a start, tasks with support and query sets, a learning rate, inner steps; `batches_of_tasks`
and `adapted_tasks` what Reptile and implicit MAML take. A problem separates the known formulas only if it has at least
two inner steps (the order of the Jacobians), two tasks (mean or sum), two support examples in two dimensions (Hessians
that do not commute), query and support sets that differ, and a learning rate at which the Hessian matters. Most draws
have all of these; the rest shrink. Parameters of two layers multiply one another: there, code that changes them between
the forward and the backward pass gets another gradient.

`quadratic_tasks` and `rational_tasks` draw the quadratics ``1/2 (theta - c)^T A (theta - c)``, for which adaptation by
gradient descent has a closed form in powers of ``I - lr A``, and adaptation with a proximal term one in the inverse of
``I + A / lam``. Methods are told apart by tasks that differ in A and in c, by a step at which A matters, and the order
in which the matrices of a product are applied by an A for each task that does not commute with the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts.tools.losses import EXACT_TABLE, Loss, Quartic, Table
from refgrad.contracts.tools.two_layers import TanhLayers, TwoLayers
from refgrad.strategies.matrices import ill_conditioned, spd, step_size, turned_round, unit_triangular
from refgrad.strategies.numbers import check_kind, halves, integers, matrix, powers_of_two, rationals, rough, vector
from refgrad.typing import Array

__all__ = [
    "adapted_tasks", "batches_of_tasks", "few_shot", "loss", "quadratic_tasks", "rational_tasks", "stationary",
    "steepness",
]  # fmt: skip

Problem = dict[str, Any]

SHAPES = ((1, 1, 1), (2, 2, 1), (2, 2, 2), (2, 3, 2), (3, 2, 2), (2, 2, 2))
"""(d, examples in a support set, examples in a query set), the simplest first."""

LOSSES: dict[str, Callable[..., Loss]] = {"quartic": Quartic, "product": TwoLayers, "tanh": TanhLayers}
"""By the name that begins a problem's ``loss``; the ints that follow are hidden units and decay."""

DRAWN = (("quartic",), ("product", 1), ("quartic",), ("product", 2), ("product", 1, 1))
"""Losses of drawn problems, the simplest first, all with a rational truth."""


def loss(inputs: Mapping[str, Any], xp: Table) -> Loss:
    """The loss of a problem, bound to a table of functions."""
    name, *numbers = inputs["loss"]
    return LOSSES[name](xp, *numbers)


def parameters(inputs: Mapping[str, Any], d: int) -> int:
    """The number of parameters for d features."""
    return d if inputs["loss"][0] == "quartic" else (d + 1) * int(inputs["loss"][1])


@st.composite
def few_shot(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``loss, theta, tasks, lr, steps`` of the contracts on MAML, as nested lists.

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers. ``"rough"``: full mantissas. ``"ill_conditioned"``: targets that cancel all but a
        thousandth of the prediction. ``"degenerate"``: supports already solved, empty features, equal tasks.
    """
    problem, d, (support, query) = draw(beginnings(kind))
    problem["tasks"] = [[draw(batch(kind, n, d)) for n in (support, query)] for _ in range(draw(counts()))]
    if kind == "ill_conditioned":
        problem["tasks"] = [[targets_off_by(problem, b) for b in task] for task in problem["tasks"]]
    if kind == "degenerate":
        problem = draw(st.sampled_from((fit_supports, featureless, repeat_first)))(problem)
    supports = [task[0] for task in problem["tasks"]]
    return {**problem, "lr": draw(rates(problem, supports)), "steps": draw(counts())}


@st.composite
def batches_of_tasks(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``loss, theta, tasks, lr, epsilon`` of the contract on Reptile; a task is a list of one to three batches.

    Kinds are those of `few_shot`, of all batches; `epsilon` is a multiple of 1/16 up to 1, and 1/2 in the simplest.
    """
    problem, d, (n, _) = draw(beginnings(kind))
    steps = draw(counts())
    problem["tasks"] = [[draw(batch(kind, n, d)) for _ in range(steps)] for _ in range(draw(counts()))]
    if kind == "ill_conditioned":
        problem["tasks"] = [[targets_off_by(problem, b) for b in task] for task in problem["tasks"]]
    if kind == "degenerate":
        problem = draw(st.sampled_from((fit_supports, featureless, repeat_first)))(problem)
    every = [b for task in problem["tasks"] for b in task]
    epsilon = draw(st.sampled_from((8, 4, 2, 12, 5, 11, 16))) / 16
    return {**problem, "lr": draw(rates(problem, every)), "epsilon": epsilon}


@st.composite
def adapted_tasks(draw: Any, kind: str = "crisp") -> Problem:
    """Inputs ``loss, theta, adapted, tasks, lam`` of the contract on implicit MAML.

    A support set is ``[X, y, c]``: the linear term c is what makes the adapted parameters stationary, exactly for crisp
    problems and to the last bit for others. The strength `lam` is a power of two that makes them a minimum.

    Parameters
    ----------
    kind : str
        Those of `few_shot`; ``"degenerate"`` are also tasks that are adapted to already.
    """
    problem, d, (support, query) = draw(beginnings(kind, examples=(1, 2)))
    p = len(problem["theta"])
    problem["tasks"] = [[draw(batch(kind, n, d)) for n in (support, query)] for _ in range(draw(counts()))]
    moves = [draw(vector(rough(1, 53) if kind == "rough" else halves(1), p)) for _ in problem["tasks"]]
    if kind == "ill_conditioned":
        problem["tasks"] = [[targets_off_by(problem, b) for b in task] for task in problem["tasks"]]
    if kind == "degenerate":
        change = draw(st.sampled_from((fit_supports, featureless, repeat_first, unmoved)))
        problem = change(problem)
        moves = [[0.0] * p for _ in moves] if change is unmoved else moves
    adapted = [[a + b for a, b in zip(problem["theta"], move, strict=True)] for move in moves]
    flatter = kind == "ill_conditioned" and problem["loss"][0] == "quartic"
    return stationary({**problem, "adapted": adapted}, draw(st.integers(0, 1)) - 8 * flatter)


def counts() -> st.SearchStrategy[int]:
    """Of tasks or of inner steps: one to three, mostly two."""
    return st.sampled_from((1, 2, 2, 3))


@st.composite
def beginnings(draw: Any, kind: str, examples: tuple[int, ...] = (1, 2, 3)) -> tuple[Problem, int, tuple[int, int]]:
    """A loss with a start, the number of features, and those of examples in a support and in a query set."""
    d, support, query = draw(st.sampled_from([shape for shape in SHAPES if set(shape[1:]) <= set(examples)]))
    problem: Problem = {"loss": list(draw(st.sampled_from(DRAWN)))}
    numbers = vector(rough(2, 53) if check_kind(kind) == "rough" else halves(), parameters(problem, d))
    problem["theta"] = draw(numbers)
    if kind == "ill_conditioned":
        large = 256.0 if problem["loss"][0] == "quartic" else 16.0
        problem["theta"] = [large + value / 8 for value in problem["theta"]]
    return problem, d, (support, query)


def batch(kind: str, n: int, d: int) -> st.SearchStrategy[list[Any]]:
    """``[X, y]`` of shapes (n, d) and (n,)."""
    numbers = rough(2, 53) if kind == "rough" else integers(2)
    return st.tuples(matrix(numbers, n, d), vector(numbers, n)).map(list)


def rates(problem: Problem, batches: Sequence[Any]) -> st.SearchStrategy[float]:
    """A power of two at or just below the reciprocal of the steepest Hessian at the start, or half of that.

    Adaptation then moves the parameters and does not diverge.
    """
    steepest = steepness(problem, [(problem["theta"], b) for b in batches])
    doublings = max(1, math.ceil(math.log2(steepest))) if steepest > 0 else 1
    return st.integers(0, 1).map(lambda more: 2.0 ** -(doublings + more))


def steepness(problem: Problem, places: Sequence[tuple[Any, Any]]) -> float:
    """The largest norm, that of all entries, of the Hessians at some points of some batches; in float64."""
    hvp = loss(problem, EXACT_TABLE).hvp
    largest = 0.0
    for point, (X, y, *_) in places:
        at, data = np.array(point), (np.array(X), np.array(y))
        largest = max(largest, float(np.linalg.norm([hvp(at, data, unit) for unit in np.eye(len(at))])))
    return largest


def predictions(problem: Problem, X: Any) -> list[Fraction]:
    """What the network, or the linear map, gives for the inputs `X`, exactly."""
    X, theta = exact.asarray(X), exact.asarray(problem["theta"])
    if problem["loss"][0] != "quartic":
        M = EXACT_TABLE.reshape(theta, (X.shape[1] + 1, problem["loss"][1]))
        X, theta = X @ M[:-1], M[-1]
    return list(exact.to_fractions(X @ theta))


def targets_off_by(problem: Problem, batch: Any) -> list[Any]:
    """The batch with targets for which predictions at the start have the residuals `-y`."""
    X, y = batch
    return [X, [float(p + Fraction(t)) for p, t in zip(predictions(problem, X), y, strict=True)]]


def fit_supports(problem: Problem) -> Problem:
    """First sets that the start fits exactly: there is nothing to adapt to."""
    fitted = [[[b[0], [float(p) for p in predictions(problem, b[0])]], *rest] for b, *rest in problem["tasks"]]
    return {**problem, "tasks": fitted}


def featureless(problem: Problem) -> Problem:
    """First sets whose features are all zero."""
    return {**problem, "tasks": [[[[[0.0 for _ in x] for x in X], y], *rest] for (X, y), *rest in problem["tasks"]]}


def repeat_first(problem: Problem) -> Problem:
    """The first task, as often as there were tasks."""
    return {**problem, "tasks": [problem["tasks"][0] for _ in problem["tasks"]]}


def unmoved(problem: Problem) -> Problem:
    """The problem itself, for tasks whose adapted parameters are the start."""
    return problem


def stationary(problem: Problem, doublings: int) -> Problem:
    """The problem with a strength, and linear terms that make the adapted parameters stationary.

    The term of a support set is ``c = lam (theta - phi) - grad S(phi)`` with S without it. The strength is a power of
    two, for 0 doublings the first above the norm of every Hessian at the adapted parameters; for a loss that may be
    concave in some direction it is one more.
    """
    places = [(phi, task[0]) for phi, task in zip(problem["adapted"], problem["tasks"], strict=True)]
    steepest, name = steepness(problem, places), problem["loss"][0]
    lam = 2.0 ** ((math.ceil(math.log2(steepest)) if steepest > 0 else 0) + doublings + (name != "quartic"))
    kind: Callable[[Any], Array] = exact.asarray if name != "tanh" else np.array
    table, theta, tasks = loss(problem, EXACT_TABLE), kind(problem["theta"]), []
    for (phi, (X, y)), (_, query) in zip(places, problem["tasks"], strict=True):
        point = kind(phi)
        c = kind(lam) * (theta - point) - table.grad(point, (kind(X), kind(y)))
        tasks.append([[X, y, c.astype(float).tolist()], query])
    return {**problem, "tasks": tasks, "lam": lam}


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
