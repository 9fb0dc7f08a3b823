"""What is computed in place of Reptile's update, exactly.

Every answer takes the arguments of `reptile_update`, ``(loss, theta, tasks, lr, epsilon)``, a task being a list of
batches with one inner step each. In the formulas ``m_t = theta_t - theta`` is the move of task t, and k the number of
its batches. Where epsilon, lr or the number of tasks is 1, some of them are the update.

References
----------
Nichol, Achiam and Schulman 2018, arXiv 1803.02999, algorithms 1 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.meta import reptile
from refgrad.contracts.meta.chains import affordable
from refgrad.contracts.meta.reductions import REDUCTION_CHOICES, mean
from refgrad.contracts.meta.reptile import Recipe, compute
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.assemble import total
from refgrad.contracts.tools.axes import Choice, products, singles
from refgrad.typing import Array

__all__ = ["CHOICES", "REPTILE_VARIANTS", "pairs", "variants"]

NICHOL = "Nichol, Achiam and Schulman 2018, arXiv 1803.02999"
FOML = "openai/supervised-reptile@8f2b71c, reptile.py, FOML"


def by_batches(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
    """The mean over tasks, each with the number of its batches for a weight."""
    sizes = [len(batches) for batches in tasks]
    return total([n * answer for n, answer in zip(sizes, answers, strict=True)]) / sum(sizes)


CHOICES = (
    Choice("outer-gradient", "mean_t (theta - theta_t)",
           "the direction that an optimiser subtracts, where the updated parameters are asked for",
           {"output": reptile.gradient}, declare="output=gradient"),
    Choice("updated-parameters", "theta + epsilon mean_t m_t",
           "the updated parameters, where the direction that an optimiser subtracts is asked for",
           {"output": reptile.updated}, declare="output=parameters"),
    Choice("sign-flipped", "theta - epsilon mean_t m_t",
           "a step away from the adapted parameters: theta - theta_t, the direction that an optimiser subtracts, is "
           "added", {"factor": lambda epsilon, lr: -epsilon}),
    Choice("divided-by-lr", "theta + epsilon / lr mean_t m_t",
           "a step along the sum of the inner gradients: the move divided by the inner rate",
           {"factor": lambda epsilon, lr: epsilon / lr},
           (f"{NICHOL}, for the gradient that is handed to another optimiser",)),
    Choice("multiplied-by-lr", "theta + epsilon lr mean_t m_t",
           "the move, which has the inner rate in it, multiplied by that rate again",
           {"factor": lambda epsilon, lr: epsilon * lr}),
    Choice("epsilon-missing", "mean_t theta_t", "the mean of the adapted parameters: no interpolation takes place",
           {"factor": lambda epsilon, lr: 1 + 0 * epsilon}),
    Choice("epsilon-squared", "theta + epsilon^2 mean_t m_t", "the move multiplied by epsilon twice",
           {"factor": lambda epsilon, lr: epsilon * epsilon}),
    Choice("interpolation-reversed", "theta + (1 - epsilon) mean_t m_t",
           "the interpolation with epsilon on the side of the initial parameters",
           {"factor": lambda epsilon, lr: 1 - epsilon}),
    *REDUCTION_CHOICES,
    Choice("weighted-by-batches", "theta + epsilon sum_t k_t m_t / sum_t k_t",
           "the mean over tasks weighted by the numbers of their batches", {"tasks": by_batches}),
    Choice("one-after-another-from-one-start", "theta + sum_t epsilon (1 - epsilon)^(T - t) m_t",
           "interpolation towards one task after another, all of them adapted from the same start: neither the "
           "batched nor the serial method", {"order": reptile.from_one_start, "tasks": mean}),
    Choice("serial", "theta <- theta + epsilon (U_t(theta) - theta), t = 1 .. T",
           "the serial method: every task starts where the update for the task before it has led",
           {"order": reptile.serial, "tasks": mean}, (f"{NICHOL}, algorithm 1",)),
    Choice("task-leakage", "theta of task t is theta_{t-1}",
           "each task adapted from where the task before it ended: the adaptation happens in place",
           {"order": reptile.leaking}),
    Choice("last-batch-only", "theta - epsilon lr mean_t g_k",
           "a step along the gradient of the last inner batch alone, at the parameters before it: the first-order "
           "MAML of the same batches", {"descent": reptile.last_step}, (f"{NICHOL}, section 5.1", FOML)),
    Choice("gradients-at-start", "theta - epsilon lr mean_t sum_i grad L_i(theta)",
           "a step along the gradients of all batches at the initial parameters: no adaptation takes place",
           {"descent": reptile.without_adaptation}),
    Choice("last-batch-missing", "U_t without its last step", "the update after one inner step fewer",
           {"batches": lambda batches: batches[:-1]}),
    Choice("first-batch-only", "U_t of the first step alone", "the update after the first inner step",
           {"batches": lambda batches: batches[:1]}),
    Choice("first-batch-repeated", "U_t with the first batch in every step",
           "the update with all inner steps on the first batch",
           {"batches": lambda batches: list(batches[:1]) * len(batches)}),
    Choice("batches-reversed", "U_t with the last batch first", "the update with the inner steps in the reverse order",
           {"batches": lambda batches: batches[::-1]}),
    Choice("inner-loss-summed", "lr replaced by lr N",
           "the update for losses summed over their batches where the mean is asked for", {"rate": reptile.times_size},
           ("openai/supervised-reptile@8f2b71c, models.py",)),
)  # fmt: skip

CHAINED = ("serial", "task-leakage")


def steps(tasks: Sequence[Any], epsilon: Any) -> int:
    """The steps of all tasks, one after another."""
    return sum(map(len, tasks))


def variants(base: Recipe) -> tuple[Variant, ...]:
    """Those that deviate from `base` along one axis."""
    return affordable(singles(compute, base, CHOICES), CHAINED, steps)


def pairs(base: Recipe) -> tuple[Variant, ...]:
    """Those that deviate from `base` along two axes."""
    return affordable(products(compute, base, CHOICES), CHAINED, steps)


REPTILE_VARIANTS = variants(Recipe())
