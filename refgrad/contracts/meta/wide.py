"""Problems of meta-learning of the sizes that people use: the steps, tasks, parameters and examples that a pass covers.

Numbers have full mantissas. Features are scaled so that predictions are of size one, the inner rate so that ``lr H`` is
about one half at the start, H the steepest Hessian there, or minus an eighth where lr is negative.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from refgrad.contracts.meta.problems import stationary, steepness
from refgrad.contracts.wide import Numbers, Wide, scale_of

__all__ = ["FEW_SHOT", "IMPLICIT", "SERIES"]

Problem = dict[str, Any]

UP_TO_SIX = (1, 2, 3, 4, 5, 6)
"""Each of these is an end: what is wrong from four steps on is told by six problems."""

COMMON = {
    "loss": ("quartic", "product", "tanh"),
    "tasks": UP_TO_SIX,
    "parameters": range(2, 41),
    "examples": range(1, 41),
    "sizes": ("equal", "unequal", "unequal"),
}
QUERIES = ("usual", "tiny", "huge")
RATES = ("positive", "zero", "negative", "large")
"""The last one is above one half, and belongs to the largest problem."""


def beginning(numbers: Numbers, loss: str, parameters: int, queries: str = "usual") -> tuple[Problem, int]:
    """A loss and a start, and the number of features; a decay, which no example knows of, is not tiny."""
    if loss == "quartic":
        return {"loss": [loss], "theta": numbers.vector(parameters, 1)}, parameters
    hidden = max(h for h in range(1, 6) if parameters % h == 0 and parameters // h > 1)
    decay = numbers.rng.randint(0, 1) if queries != "tiny" else 0
    return {"loss": [loss, hidden, decay], "theta": numbers.vector(parameters, 1)}, parameters // hidden - 1


def batch(numbers: Numbers, examples: int, d: int) -> list[Any]:
    """``[X, y]`` of `examples` rows whose norm is about one."""
    X = numbers.matrix(examples, d, 2.0)
    if not numbers.plain:
        X = [[x / math.sqrt(d) for x in row] for row in X]
    return [X, numbers.vector(examples, 1)]


def pairs(numbers: Numbers, examples: int, tasks: int, sizes: str, queries: str, d: int) -> list[Any]:
    """A support and a query batch for each task; queries of another scale make an answer of another scale."""
    supports = counts(numbers, examples, tasks, sizes)
    found = [
        [batch(numbers, n, d) for n in pair]
        for pair in zip(supports, counts(numbers, numbers.rng.randint(1, examples), tasks, sizes), strict=True)
    ]
    of_features, of_targets = {"usual": (1.0, 1.0), "tiny": (2.0**-20, 2.0**-20), "huge": (1.0, 2.0**20)}[queries]
    for _, query in found:
        query[0] = [[x * of_features for x in row] for row in query[0]]
        query[1] = [y * of_targets for y in query[1]]
    return found


def counts(numbers: Numbers, most: int, tasks: int, sizes: str) -> list[int]:
    """A number for each task, one of them `most`; unequal ones are smaller, or larger than 1, the largest anywhere."""
    if sizes == "equal":
        return [most] * tasks
    found = [most, *(numbers.rng.randint(1, most - 1) if most > 1 else 2 for _ in range(tasks - 1))]
    numbers.rng.shuffle(found)
    return found


def with_rate(numbers: Numbers, problem: Problem, lr: str) -> Problem:
    """The problem with an inner rate, which is large where features are small."""
    batches = [b for task in problem["tasks"] for b in task]
    places = [(problem["theta"], b) for b in batches]
    steepest = steepness(problem, places)
    while lr == "large" and steepest > 0.6:  # the decay alone gives up to 0.56
        for b in batches:
            b[0] = [[x / 2 for x in row] for row in b[0]]
            b[1] = [y / 2 for y in b[1]]
        problem["theta"] = [x / 2 for x in problem["theta"]]
        steepest = steepness(problem, [(problem["theta"], b) for b in batches])
    size = {"zero": 0.0, "negative": -0.125}.get(lr, 0.7) / max(steepest, 0.125)
    if lr == "zero":
        return {**problem, "lr": 0.0}
    if numbers.plain:
        return {**problem, "lr": math.copysign(2.0 ** math.floor(math.log2(abs(size))), size)}
    return {**problem, "lr": size * numbers.rng.uniform(0.8, 1)}


def few_shot(
    numbers: Numbers,
    steps: int,
    loss: str,
    tasks: int,
    parameters: int,
    examples: int,
    sizes: str,
    queries: str,
    lr: str,
) -> Problem:
    """Inputs ``loss, theta, tasks, lr, steps``."""
    problem, d = beginning(numbers, loss, parameters, queries)
    problem["tasks"] = pairs(numbers, examples, tasks, sizes, queries, d)
    return {**with_rate(numbers, problem, lr), "steps": steps}


def series(
    numbers: Numbers, steps: int, loss: str, tasks: int, parameters: int, examples: int, sizes: str, lr: str
) -> Problem:
    """Inputs ``loss, theta, tasks, lr, epsilon``; unequal tasks differ in the number of batches and in their sizes."""
    problem, d = beginning(numbers, loss, parameters)
    lengths = counts(numbers, steps, tasks, sizes)
    problem["tasks"] = [[batch(numbers, n, d) for n in counts(numbers, examples, k, sizes)] for k in lengths]
    epsilon = 0.5 if numbers.plain else numbers.rng.uniform(0.05, 1)
    return {**with_rate(numbers, problem, lr), "epsilon": epsilon}


def implicit(
    numbers: Numbers, loss: str, tasks: int, parameters: int, examples: int, sizes: str, queries: str
) -> Problem:
    """Inputs ``loss, theta, adapted, tasks, lam``."""
    problem, d = beginning(numbers, loss, parameters, queries)
    problem["tasks"] = pairs(numbers, examples, tasks, sizes, queries, d)
    problem["adapted"] = [[x + numbers.number(1) for x in problem["theta"]] for _ in range(tasks)]
    return stationary(problem, numbers.rng.randint(0, 1))


def sign(lr: float) -> str:
    """In a word."""
    return "zero" if lr == 0 else "negative" if lr < 0 else "positive"


def common(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What every problem of meta-learning covers."""
    tasks = inputs["tasks"]
    shapes = {tuple(len(b[1]) for b in task) for task in tasks}
    return {
        "loss": inputs["loss"][0],
        "layers": 1 if inputs["loss"][0] == "quartic" else 2,
        "tasks": len(tasks),
        "parameters": len(inputs["theta"]),
        "examples": tuple({len(b[1]) for task in tasks for b in task}),
        "sizes": "equal" if len(shapes) == 1 else "unequal",
    }


def queries(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The scale of the targets of the query sets."""
    return {"queries": scale_of(y for _, query in inputs["tasks"] for y in query[1])}


def rate(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The sign of the inner rate, and its size."""
    return {"lr": sign(inputs["lr"]), "size of lr": abs(inputs["lr"])}


FEW_SHOT = Wide(
    {"steps": UP_TO_SIX, **COMMON, "queries": QUERIES, "lr": RATES},
    few_shot,
    lambda inputs: {"steps": inputs["steps"], **common(inputs), **queries(inputs), **rate(inputs)},
)
SERIES = Wide(
    {"steps": UP_TO_SIX, **COMMON, "lr": RATES},
    series,
    lambda inputs: {"steps": tuple({len(task) for task in inputs["tasks"]}), **common(inputs), **rate(inputs)},
)
IMPLICIT = Wide(
    {**COMMON, "parameters": range(2, 21), "queries": QUERIES},
    implicit,
    lambda inputs: common(inputs) | queries(inputs),
)
