"""The contracts of gradient-based meta-learning: ``maml_gradient`` and ``fomaml_gradient``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from refgrad.contracts.contract import Contract, Framework, each_kind
from refgrad.contracts.meta.maml import fomaml_gradient, maml_gradient
from refgrad.contracts.meta.maml_variants import FOMAML_VARIANTS, MAML_VARIANTS
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.tools.losses import Quartic

__all__ = ["CONTRACTS"]

SIGNATURE = "subject(loss, theta, tasks, lr, steps)"


def arguments(inputs: Mapping[str, Any], framework: Framework) -> tuple[Any, ...]:
    """``(loss, theta, tasks, lr, steps)``; tasks is a list of (support, query) pairs of batches (X, y)."""
    tasks = [
        tuple((framework.array(X), framework.array(y)) for X, y in (support, query))
        for support, query in inputs["tasks"]
    ]
    loss = Quartic(framework.xp)
    return loss, framework.array(inputs["theta"]), tasks, framework.scalar(inputs["lr"]), int(inputs["steps"])


def shape(inputs: Mapping[str, Any]) -> tuple[int, ...]:
    """The shape of theta."""
    return (len(inputs["theta"]),)


PARAMETERS = {
    "loss": "loss(theta, batch), one number, mean_n (x_n theta - y_n)^4 / 4, which the framework can differentiate; "
    "for subjects without autodiff loss.grad(theta, batch), shape (p,), and loss.hvp(theta, batch, v), shape (p,)",
    "theta": "the initial parameters, a vector of shape (p,); for torch a leaf that requires a gradient",
    "tasks": "a list of pairs (support, query), each a batch (X, y) with X of shape (N, p) and y of shape (N,)",
    "lr": "the inner learning rate, a Python float",
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

MAML_GRADIENT = Contract(
    name="maml_gradient",
    version="1.0",
    summary="The gradient by theta of the mean over tasks of the query loss after `steps` steps of gradient descent "
    "on the support loss, through the steps.",
    signature=SIGNATURE,
    returns="mean over tasks of d loss(theta_steps, query) / d theta, shape of theta",
    references=(
        "Finn, Abbeel and Levine 2017, Model-Agnostic Meta-Learning, arXiv 1703.03400, eq. (1)",
        "Nichol, Achiam and Schulman 2018, On First-Order Meta-Learning Algorithms, arXiv 1803.02999, section 5.1",
    ),
    problems=each_kind(few_shot),
    arguments=arguments,
    quantity=maml_gradient,
    shape=shape,
    variants=MAML_VARIANTS,
    parameters=PARAMETERS,
    example=MAML_EXAMPLE,
)

FOMAML_GRADIENT = Contract(
    name="fomaml_gradient",
    version="1.0",
    summary="The mean over tasks of the gradient of the query loss at the parameters adapted by `steps` steps of "
    "gradient descent on the support loss; the adaptation is not differentiated.",
    signature=SIGNATURE,
    returns="mean over tasks of grad loss(theta_steps, query) at theta_steps, shape of theta",
    references=("Finn, Abbeel and Levine 2017, Model-Agnostic Meta-Learning, arXiv 1703.03400, section 5.2",),
    problems=each_kind(few_shot),
    arguments=arguments,
    quantity=fomaml_gradient,
    shape=shape,
    variants=FOMAML_VARIANTS,
    parameters=PARAMETERS,
    example=FOMAML_EXAMPLE,
)

CONTRACTS = (MAML_GRADIENT, FOMAML_GRADIENT)
