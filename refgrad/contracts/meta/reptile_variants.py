"""What is computed in place of Reptile's update, exactly.

Every answer takes the arguments of `reptile_update`, ``(loss, theta, tasks, lr, epsilon)``, a task being a list of
batches with one inner step each. In the formulas ``m_t = theta_t - theta`` is the move of task t. All but the last
three are theta plus a multiple of the mean move; where epsilon, lr or the number of tasks is 1, some are the update.

References
----------
Nichol, Achiam and Schulman 2018, arXiv 1803.02999, algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.contracts.meta.maml import mean, outer, reptile_move, step_along
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.losses import Loss
from refgrad.typing import Array, Scalar

__all__ = ["REPTILE_VARIANTS"]

Update = Callable[[Loss, Array, Sequence[Any], Scalar, Scalar], Answer]


def times(factor: Callable[[int, Scalar, Scalar], Scalar]) -> Update:
    """``theta + factor mean_t m_t``, the factor a function of the number of tasks, lr and epsilon."""

    def update(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, epsilon: Scalar) -> Answer:
        move = mean([reptile_move(loss, theta, batches, lr) for batches in tasks])
        return step_along(theta, move, factor(len(tasks), lr, epsilon))

    return update


def one_after_another(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, epsilon: Scalar) -> Answer:
    """``theta <- theta + epsilon (theta_t - theta)`` for every task in turn, all theta_t from the first theta."""
    now = Answer(theta, abs(theta))
    for batches in tasks:
        move = reptile_move(loss, theta, batches, lr)
        now = Answer(
            now.value + epsilon * (theta + move.value - now.value),
            now.magnitude + abs(epsilon) * (abs(theta) + move.magnitude + now.magnitude),
        )
    return now


def serial(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, epsilon: Scalar) -> Answer:
    """One update after another, each task's inner steps from where the update before has led."""
    now = Answer(theta, abs(theta))
    for batches in tasks:
        move = reptile_move(loss, now.value, batches, lr)
        now = Answer(now.value + epsilon * move.value, now.magnitude + abs(epsilon) * move.magnitude)
    return now


def last_batch(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, epsilon: Scalar) -> Answer:
    """``theta - epsilon lr mean_t g_t`` with g_t the gradient of the last inner step of task t."""
    gradients = []
    for batches in tasks:
        if not batches:
            raise NotApplicable("a task without batches has no last gradient")
        start = theta + reptile_move(loss, theta, batches[:-1], lr).value
        gradients.append(outer(loss, start, batches[-1]))
    return step_along(theta, mean(gradients), -(epsilon * lr))


NICHOL = "Nichol, Achiam and Schulman 2018, arXiv 1803.02999"

REPTILE_VARIANTS: tuple[Variant, ...] = (
    Variant(
        "sign-flipped",
        "theta - epsilon mean_t m_t",
        "a step away from the adapted parameters: theta - theta_t, the direction that an optimiser subtracts, is added",
        (),
        times(lambda tasks, lr, epsilon: -epsilon),
    ),
    Variant(
        "divided-by-lr",
        "theta + epsilon / lr mean_t m_t",
        "a step along the sum of the inner gradients: the move divided by the inner rate",
        (f"{NICHOL}, for the gradient that is handed to another optimiser",),
        times(lambda tasks, lr, epsilon: epsilon / lr),
    ),
    Variant(
        "multiplied-by-lr",
        "theta + epsilon lr mean_t m_t",
        "the move, which has the inner rate in it, multiplied by that rate again",
        (),
        times(lambda tasks, lr, epsilon: epsilon * lr),
    ),
    Variant(
        "sum-over-tasks",
        "theta + epsilon sum_t m_t",
        "the sum of the moves of all tasks where their mean is asked for",
        (),
        times(lambda tasks, lr, epsilon: epsilon * tasks),
    ),
    Variant(
        "epsilon-missing",
        "mean_t theta_t",
        "the mean of the adapted parameters: no interpolation takes place",
        (),
        times(lambda tasks, lr, epsilon: 1),
    ),
    Variant(
        "one-after-another-from-one-start",
        "theta + sum_t epsilon (1 - epsilon)^(T - t) m_t",
        "interpolation towards one task after another, all of them adapted from the same start: neither the batched "
        "nor the serial method",
        (),
        one_after_another,
    ),
    Variant(
        "serial",
        "theta <- theta + epsilon (U_t(theta) - theta), t = 1 .. T",
        "the serial method: every task starts where the update for the task before it has led",
        (f"{NICHOL}, algorithm 1",),
        serial,
    ),
    Variant(
        "last-batch-only",
        "theta - epsilon lr mean_t g_k",
        "a step along the gradient of the last inner batch alone, at the parameters before it: the first-order MAML of "
        "the same batches",
        (f"{NICHOL}, section 5.1", "openai/supervised-reptile@8f2b71c, reptile.py, FOML"),
        last_batch,
    ),
)
