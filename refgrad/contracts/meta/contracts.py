"""The contracts of gradient-based meta-learning: ``maml_gradient`` and ``fomaml_gradient``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from refgrad.contracts.contract import Contract, Failure, Framework, Problem
from refgrad.contracts.meta.maml import fomaml_gradient, maml_gradient
from refgrad.contracts.meta.maml_variants import FOMAML_VARIANTS, MAML_VARIANTS
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.regression import Dialect, expected_values, test_source
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


def problems(kind: str) -> Callable[[], Any]:
    """A function that returns the strategy of one kind of problem."""
    return lambda: few_shot(kind).map(partial(Problem, kind))


LOSS = """\
def loss(theta, batch):
    X, y = batch
    r = X @ theta - y
    return (r * r * r * r).sum() / (4 * len(y))

def grad(theta, batch):
    X, y = batch
    r = X @ theta - y
    return X.T @ (r * r * r) / len(y)

def hvp(theta, batch, v):
    X, y = batch
    r = X @ theta - y
    return X.T @ (3 * r * r * (X @ v)) / len(y)

loss.grad, loss.hvp = grad, hvp"""


def regression(
    title: str,
    failure: Failure,
) -> str:
    """The source of a test that calls the subject on `problem` with an inline quartic loss."""
    dialect = Dialect(failure.framework, failure.dtype)
    inputs = failure.problem.inputs
    pairs = []
    for task in inputs["tasks"]:
        batches = [f"(array({X!r}), array({y!r}))" for X, y in task]
        pairs.append(f"    ({batches[0]}, {batches[1]}),")
    body = [
        dialect.constructor(),
        LOSS,
        f"theta = {dialect.parameters(inputs['theta'])}",
        "tasks = [  # (support, query), each (X, y)\n" + "\n".join(pairs) + "\n]",
        f"result = subject(loss, theta, tasks, {inputs['lr']!r}, {inputs['steps']!r})",
        "VALUES",
        f"expected = {expected_values(failure.truth)!r}",
        "worst = max(abs(value - right) for value, right in zip(values, expected, strict=True))",
        f"assert worst <= {float(failure.tolerance)!r}, (values, expected)",
    ]
    return test_source(dialect, failure, title, body)


KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")

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
    problems={kind: problems(kind) for kind in KINDS},
    arguments=arguments,
    oracle=maml_gradient,
    shape=shape,
    variants=MAML_VARIANTS,
    regression=partial(regression, "maml_gradient"),
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
    problems={kind: problems(kind) for kind in KINDS},
    arguments=arguments,
    oracle=fomaml_gradient,
    shape=shape,
    variants=FOMAML_VARIANTS,
    regression=partial(regression, "fomaml_gradient"),
    parameters=PARAMETERS,
    example=FOMAML_EXAMPLE,
)

CONTRACTS = (MAML_GRADIENT, FOMAML_GRADIENT)
