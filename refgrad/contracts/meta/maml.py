"""Meta-gradients by hand: of MAML through explicit Hessian-vector products, of FOMAML; and the update of Reptile.

One task: ``theta_{i+1} = theta_i - lr grad S(theta_i)`` for i = 0 .. k-1, with the support loss S, then the gradient
of the query loss Q at ``theta_k`` is pulled back through the steps, the last one first:

    v <- grad Q(theta_k);   for i = k-1 .. 0:   v <- v - lr H_i v,     H_i = Hess S(theta_i).

The magnitude of an answer counts ``|grad Q|`` and every ``lr |H_i v|``, term by term, averaged over tasks.

References
----------
Finn, Abbeel and Levine 2017, arXiv 1703.03400, eq. (1) and section 5.2; Nichol, Achiam and Schulman 2018, arXiv
1803.02999, section 5.1 (whose product of Jacobians has to be read with decreasing index).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.losses import Loss
from refgrad.typing import Array, Scalar

__all__ = [
    "fomaml_gradient",
    "iterates",
    "maml_gradient",
    "mean",
    "outer",
    "pull_back",
    "reptile_move",
    "reptile_update",
    "step_along",
]


def maml_gradient(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, steps: int) -> Answer:
    """The gradient of the mean over tasks of ``loss(theta_steps, query)`` by the initial `theta`.

    Parameters
    ----------
    loss : Loss
    theta : array, shape (d,)
    tasks : list of (support, query)
        Each a batch ``(X, y)`` of shapes (N, d) and (N,).
    lr : scalar
    steps : int
    """
    return mean([task_gradient(loss, theta, task, lr, steps) for task in tasks])


def task_gradient(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
    """The MAML gradient of one task."""
    support, query = task
    path = iterates(loss, theta, support, lr, steps)
    return pull_back(loss, outer(loss, path[-1], query), path[:-1], support, lr)


def fomaml_gradient(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, steps: int) -> Answer:
    """The mean over tasks of the query gradient at the adapted parameters, with no derivative of the adaptation."""
    return mean([outer(loss, iterates(loss, theta, s, lr, steps)[-1], q) for s, q in tasks])


def reptile_update(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, epsilon: Scalar) -> Answer:
    """``theta + epsilon mean_t (theta_t - theta)``; a task is a list of batches, one gradient step each."""
    return step_along(theta, mean([reptile_move(loss, theta, batches, lr) for batches in tasks]), epsilon)


def reptile_move(loss: Loss, theta: Array, batches: Sequence[Any], lr: Scalar) -> Answer:
    """``theta_t - theta`` of one task; its magnitude counts theta, which is subtracted, and every step."""
    point, terms = theta, abs(theta)
    for batch in batches:
        terms = terms + abs(lr) * loss.grad_terms(point, batch)
        point = point - lr * loss.grad(point, batch)
    return Answer(point - theta, terms)


def step_along(theta: Array, move: Answer, factor: Scalar) -> Answer:
    """``theta + factor move``."""
    return Answer(theta + factor * move.value, abs(theta) + abs(factor) * move.magnitude)


def iterates(loss: Loss, theta: Array, batch: Any, lr: Scalar, steps: int) -> list[Array]:
    """``[theta_0, ..., theta_steps]`` of gradient descent on one batch."""
    path = [theta]
    for _ in range(steps):
        path.append(path[-1] - lr * loss.grad(path[-1], batch))
    return path


def outer(loss: Loss, theta: Array, batch: Any) -> Answer:
    """The gradient at `theta`, with its magnitude."""
    return Answer(loss.grad(theta, batch), loss.grad_terms(theta, batch))


def pull_back(loss: Loss, v: Answer, points: Sequence[Array], batch: Any, lr: Scalar) -> Answer:
    """``(I - lr H(points[0])) ... (I - lr H(points[-1])) v``: the last point's Hessian acts first."""
    value, magnitude = v.value, v.magnitude
    for point in reversed(points):
        magnitude = magnitude + abs(lr) * loss.hvp_terms(point, batch, value)
        value = value - lr * loss.hvp(point, batch, value)
    return Answer(value, magnitude)


def mean(answers: Sequence[Answer]) -> Answer:
    """The mean of some answers, and of their magnitudes."""
    total, terms = answers[0].value, answers[0].magnitude
    for answer in answers[1:]:
        total, terms = total + answer.value, terms + answer.magnitude
    return Answer(total / len(answers), terms / len(answers))
