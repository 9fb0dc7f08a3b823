"""How the answers of several tasks become one: what the papers and their programs do differently.

Each is a function of the answers, one array for each task, and of the tasks, whose sets may differ in size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.contracts.tools.assemble import total
from refgrad.contracts.tools.axes import Choice
from refgrad.typing import Array

__all__ = ["REDUCTIONS", "REDUCTION_CHOICES", "SIZE_CHOICES", "Reduction", "last_divided", "mean", "size", "summed"]

Reduction = Callable[[Sequence[Array], Sequence[Any]], Array]


def mean(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
    """The mean over tasks."""
    return total(answers) / len(answers)


def summed(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
    """The sum over tasks."""
    return total(answers)


def first(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
    """The first task alone."""
    return answers[0]


def last(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
    """The last task alone."""
    return answers[-1]


def last_divided(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
    """The last task alone, divided by the number of tasks."""
    return answers[-1] / len(answers)


def size(batch: Any) -> int:
    """The number of examples in a batch ``(X, y)``."""
    return int(batch[1].shape[0])


def weighted(place: int) -> Reduction:
    """The mean over tasks, each with the number of examples in its set at `place` for a weight."""

    def reduction(answers: Sequence[Array], tasks: Sequence[Any]) -> Array:
        sizes = [size(task[place]) for task in tasks]
        return total([n * answer for n, answer in zip(sizes, answers, strict=True)]) / sum(sizes)

    return reduction


by_support, by_query = weighted(0), weighted(1)

REDUCTIONS: dict[str, Reduction] = {"mean": mean, "sum": summed}
"""What may be declared as ``--param reduction=sum``."""

TRAINING = "dragen1860/MAML-Pytorch@01ad898, meta.py"

REDUCTION_CHOICES = (
    Choice("mean-over-tasks", "mean_t g_t", "the mean over tasks where the sum is asked for", {"tasks": mean},
           declare="reduction=mean"),
    Choice("sum-over-tasks", "sum_t g_t", "the sum over tasks where the mean is asked for", {"tasks": summed},
           ("facebookresearch/higher, examples/maml-omniglot.py",), declare="reduction=sum"),
    Choice("last-task-only", "g_T", "the answer of the last task alone", {"tasks": last}),
    Choice("last-task-divided", "g_T / T", "the answer of the last task alone, divided by the number of tasks",
           {"tasks": last_divided}, (TRAINING,)),
    Choice("first-task-only", "g_1", "the answer of the first task alone", {"tasks": first},
           ("metaopt/torchopt, examples/MAML-RL/func_maml.py",)),
)  # fmt: skip

SIZE_CHOICES = (
    Choice("weighted-by-support-size", "sum_t N_t g_t / sum_t N_t, N_t the examples in the support set of task t",
           "the mean over tasks weighted by the sizes of their support sets", {"tasks": by_support}),
    Choice("weighted-by-query-size", "sum_t N_t g_t / sum_t N_t, N_t the examples in the query set of task t",
           "the mean over tasks weighted by the sizes of their query sets, as where all query examples are put "
           "together", {"tasks": by_query}),
)  # fmt: skip
