"""The contracts of gradient-based meta-learning: MAML, first-order MAML, Reptile and implicit MAML.

Whether tasks are added up or their mean is taken is a convention, ``--param reduction=sum``; so is, for Reptile,
whether the updated parameters come back or the direction that an optimiser subtracts, ``--param output=gradient``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from refgrad.contracts.contract import Contract, Framework, each_kind
from refgrad.contracts.meta import imaml, imaml_variants, maml, maml_variants, problems, reptile, reptile_variants, wide
from refgrad.contracts.meta.reductions import REDUCTIONS
from refgrad.contracts.tools.terms import measured

__all__ = ["CONTRACTS"]


def batches(pair: Any, framework: Framework) -> list[tuple[Any, ...]]:
    """Nested lists of batches as batches of arrays."""
    return [tuple(framework.array(part) for part in batch) for batch in pair]


def few_shot(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(loss, theta, tasks, lr, steps)``; tasks is a list of (support, query) pairs of batches (X, y)."""
    tasks = [tuple(batches(task, framework)) for task in inputs["tasks"]]
    loss, theta = problems.loss(inputs, framework.xp), framework.array(inputs["theta"])
    return loss, theta, tasks, framework.scalar(inputs["lr"]), int(inputs["steps"])


def series(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(loss, theta, tasks, lr, epsilon)``; tasks is a list of lists of batches (X, y)."""
    tasks = [batches(task, framework) for task in inputs["tasks"]]
    loss, theta = problems.loss(inputs, framework.xp), framework.array(inputs["theta"])
    return loss, theta, tasks, framework.scalar(inputs["lr"]), framework.scalar(inputs["epsilon"])


def implicit(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(loss, theta, adapted, tasks, lam)``; a support set is a batch (X, y, c)."""
    tasks = [tuple(batches(task, framework)) for task in inputs["tasks"]]
    loss, theta = problems.loss(inputs, framework.xp), framework.array(inputs["theta"])
    return loss, theta, [framework.array(phi) for phi in inputs["adapted"]], tasks, framework.scalar(inputs["lam"])


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of theta."""
    return (len(inputs["theta"]),)


LOSS = {
    "loss": "loss(theta, batch), one number, which the framework can differentiate: the mean over a batch (X, y) of "
    "(x_n . theta - y_n)^4 / 4, or of half the squared error of two layers; for subjects without autodiff "
    "loss.grad(theta, batch), shape (p,), and loss.hvp(theta, batch, v), shape (p,)",
    "theta": "the initial parameters, a vector of shape (p,); for torch a leaf that requires a gradient",
}
FEW_SHOT = {
    **LOSS,
    "tasks": "a list of pairs (support, query), each a batch (X, y) with X of shape (N, d) and y of shape (N,)",
    "lr": "the inner learning rate, a Python float, of any sign",
    "steps": "the number of inner steps, an int of at least 1; every step uses the whole support batch",
}

MAML_EXAMPLE = """\
def maml(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:  # the Hessian of the last step is applied first
            v = v - lr * loss.hvp(path.pop(), support, v)
        total = total + v
    return total / len(tasks)
"""

FOMAML_EXAMPLE = """\
def fomaml(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        adapted = theta
        for _ in range(steps):
            adapted = adapted - lr * loss.grad(adapted, support)
        total = total + loss.grad(adapted, query)
    return total / len(tasks)
"""

REPTILE_EXAMPLE = """\
def reptile(loss, theta, tasks, lr, epsilon):
    total = 0
    for batches in tasks:
        adapted = theta
        for batch in batches:
            adapted = adapted - lr * loss.grad(adapted, batch)
        total = total + (adapted - theta)
    return theta + epsilon * total / len(tasks)
"""

IMAML_EXAMPLE = """\
import numpy as np


def imaml(loss, theta, adapted, tasks, lam):
    total, units = 0, np.eye(len(theta), dtype=theta.dtype)
    for point, (support, query) in zip(adapted, tasks):
        hessian = np.array([loss.hvp(point, support, unit) for unit in units])
        total = total + np.linalg.solve(units + hessian / lam, loss.grad(point, query))
    return total / len(tasks)
"""

Part = Callable[[Any], Any]


def declared(contract: Contract, base: Any, compute: Part, variants: Part, pairs: Part, **choices: str) -> Contract:
    """`contract` with other conventions: of the reduction over tasks, and of what comes back."""
    changes: dict[str, Any] = {}
    if "reduction" in choices:
        changes["tasks"] = REDUCTIONS[choices["reduction"]]
    if "output" in choices:
        changes["output"] = OUTPUTS[choices["output"]]
    recipe = replace(base, **changes)
    own = {name: allowed[0] for name, allowed in contract.conventions.items()}
    said = ", ".join(f"{name} {value}" for name, value in choices.items() if value != own[name])
    return replace(
        contract,
        returns=f"{contract.returns}; with the conventions: {said}" if said else contract.returns,
        quantity=measured(compute(recipe)),
        variants=variants(recipe),
        products=partial(pairs, recipe),
        options={**contract.options, **choices},
    )


def with_conventions(contract: Contract, base: Any, compute: Part, variants: Part, pairs: Part) -> Contract:
    """`contract` with the variants of the recipe `base`, and a declaration of its conventions."""
    contract = declared(contract, base, compute, variants, pairs)
    return replace(contract, declared=partial(declared, contract, base, compute, variants, pairs))


OUTPUTS = {"parameters": reptile.updated, "gradient": reptile.gradient}
REDUCTION = tuple(REDUCTIONS)

MAML_GRADIENT = Contract(
    name="maml_gradient",
    version="2.0",
    summary="The gradient by theta of the mean over tasks of the query loss after `steps` steps of gradient descent "
    "on the support loss, through the steps.",
    signature="subject(loss, theta, tasks, lr, steps)",
    returns="mean over tasks of d loss(theta_steps, query) / d theta, shape of theta",
    references=(
        "Finn, Abbeel and Levine 2017, Model-Agnostic Meta-Learning, arXiv 1703.03400, eq. (1)",
        "Nichol, Achiam and Schulman 2018, On First-Order Meta-Learning Algorithms, arXiv 1803.02999, section 5.1",
    ),
    problems=each_kind(problems.few_shot),
    arguments=few_shot,
    quantity=maml.maml_gradient,
    shape=shape,
    variants=(),
    parameters=FEW_SHOT,
    example=MAML_EXAMPLE,
    wide=wide.FEW_SHOT,
    conventions={"reduction": REDUCTION},
)

FOMAML_GRADIENT = replace(
    MAML_GRADIENT,
    name="fomaml_gradient",
    summary="The mean over tasks of the gradient of the query loss at the parameters adapted by `steps` steps of "
    "gradient descent on the support loss; the adaptation is not differentiated.",
    returns="mean over tasks of grad loss(theta_steps, query) at theta_steps, shape of theta",
    references=("Finn, Abbeel and Levine 2017, Model-Agnostic Meta-Learning, arXiv 1703.03400, section 5.2",),
    example=FOMAML_EXAMPLE,
)

REPTILE_UPDATE = Contract(
    name="reptile_update",
    version="1.0",
    summary="The initial parameters after one batched update of Reptile: a fraction epsilon of the way to the mean of "
    "the parameters that tasks adapt to by one step of gradient descent on each of their batches.",
    signature="subject(loss, theta, tasks, lr, epsilon)",
    returns="theta + epsilon mean over tasks of (theta_t - theta), shape of theta",
    references=("Nichol, Achiam and Schulman 2018, arXiv 1803.02999, algorithm 2",),
    problems=each_kind(problems.batches_of_tasks),
    arguments=series,
    quantity=reptile.reptile_update,
    shape=shape,
    variants=(),
    parameters={
        **LOSS,
        "tasks": "a list of tasks, each a list of batches (X, y) with X of shape (N, d) and y of shape (N,)",
        "lr": "the inner learning rate, a Python float, of any sign",
        "epsilon": "the outer step size, a Python float above 0 and at most 1",
    },
    example=REPTILE_EXAMPLE,
    wide=wide.SERIES,
    conventions={"reduction": REDUCTION, "output": tuple(OUTPUTS)},
)

IMAML_GRADIENT = Contract(
    name="imaml_gradient",
    version="1.0",
    summary="The gradient by theta of the mean over tasks of the query loss at the parameters phi that minimise the "
    "support loss plus lam/2 |phi - theta|^2, by the implicit function theorem.",
    signature="subject(loss, theta, adapted, tasks, lam)",
    returns="mean over tasks of (I + H / lam)^-1 grad loss(phi, query), H the Hessian of loss(phi, support), shape of "
    "theta",
    references=("Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630, lemma 1",),
    problems=each_kind(problems.adapted_tasks),
    arguments=implicit,
    quantity=imaml.imaml_gradient,
    shape=shape,
    variants=(),
    parameters={
        **LOSS,
        "adapted": "for each task the parameters phi, shape (p,), that minimise loss(., support) + lam/2 |. - theta|^2",
        "tasks": "a list of pairs (support, query); support is a batch (X, y, c), whose loss has the term c . theta "
        "as well, and query a batch (X, y)",
        "lam": "the strength of the penalty, a Python float above 0",
    },
    example=IMAML_EXAMPLE,
    wide=wide.IMPLICIT,
    conventions={"reduction": REDUCTION},
)

MAML_GRADIENT = with_conventions(
    MAML_GRADIENT, maml.Recipe(), maml.compute, maml_variants.variants, maml_variants.pairs
)
FOMAML_GRADIENT = with_conventions(
    FOMAML_GRADIENT,
    maml.Recipe(backward=maml.first_order),
    maml.compute,
    maml_variants.variants,
    maml_variants.pairs,
)
REPTILE_UPDATE = with_conventions(
    REPTILE_UPDATE, reptile.Recipe(), reptile.compute, reptile_variants.variants, reptile_variants.pairs
)
IMAML_GRADIENT = with_conventions(
    IMAML_GRADIENT, imaml.Recipe(), imaml.compute, imaml_variants.variants, imaml_variants.pairs
)

CONTRACTS = (MAML_GRADIENT, FOMAML_GRADIENT, REPTILE_UPDATE, IMAML_GRADIENT)
