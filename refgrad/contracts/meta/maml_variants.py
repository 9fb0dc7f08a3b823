"""What is computed in place of the MAML gradient, exactly: each formula has been seen in public code or is a near miss.

Every deviation is a `Choice` along one axis of `maml.Recipe`. ``variants`` makes those of a recipe that deviate once,
``pairs`` those that deviate twice. `MAML_VARIANTS` belongs to the contract ``maml_gradient``, `FOMAML_VARIANTS` to
``fomaml_gradient``, where the MAML gradient is itself a variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.meta import maml
from refgrad.contracts.meta.chains import affordable
from refgrad.contracts.meta.maml import Recipe, compute, first_order, full, through
from refgrad.contracts.meta.reductions import REDUCTION_CHOICES, SIZE_CHOICES, last_divided, summed
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.axes import Choice, products, singles
from refgrad.contracts.tools.terms import measured

__all__ = ["CHOICES", "FOMAML_VARIANTS", "MAML_VARIANTS", "pairs", "variants"]

FINN = "Finn, Abbeel and Levine 2017, arXiv 1703.03400"
NICHOL = "Nichol, Achiam and Schulman 2018, arXiv 1803.02999"
ANTONIOU = "Antoniou, Edwards and Storkey 2019, arXiv 1810.09502, section 4"
PYTORCH = "dragen1860/MAML-Pytorch"

UNUSED = {"backward": first_order, "outer": maml.at_end}
"""Of answers in which no query gradient is pulled back."""

SETS = (
    Choice("support-loss-in-outer", "Q_t replaced by S_t",
           "the outer gradient of the support loss: the query set is not used", {"sets": (0, 0)},
           (f"{NICHOL}, section 5.1, where the last inner batch is the outer batch",)),
    Choice("adapts-on-query", "S_t replaced by Q_t",
           "the gradient after adaptation on the query set: the support set is not used", {"sets": (1, 1)}),
    Choice("sets-exchanged", "S_t and Q_t exchanged",
           "the gradient after adaptation on the query set, of the support loss", {"sets": (1, 0)}),
)  # fmt: skip

STEPS = (
    Choice("one-step-fewer", "g with k - 1 inner steps", "the gradient after one inner step fewer",
           {"steps": lambda k: max(0, k - 1)}),
    Choice("one-step-more", "g with k + 1 inner steps", "the gradient after one inner step more",
           {"steps": lambda k: k + 1}),
    Choice("gradient-at-start", "mean_t grad Q_t(theta_0)",
           "the query gradient at the initial parameters: no adaptation takes place",
           {"steps": lambda k: 0, "leaks": False, "rate": maml.as_given, **UNUSED}),
    Choice("support-gradient-at-start", "mean_t grad S_t(theta_0)",
           "the support gradient at the initial parameters: a prediction made before the adaptation enters the loss",
           {"steps": lambda k: 0, "sets": (0, 0), "leaks": False, "rate": maml.as_given, **UNUSED},
           ("learnables/learn2learn@db5cee3, examples/maml_toy.py, lines 46-53",)),
)  # fmt: skip

RATES = (
    Choice("inner-loss-summed", "lr replaced by lr N_S",
           "the gradient for a support loss summed over its examples where the mean is asked for",
           {"rate": maml.times_size}, ("openai/supervised-reptile@8f2b71c, models.py",)),
    Choice("support-size-of-first-task", "lr replaced by lr N_S / N_S1",
           "the gradient for support losses that are all divided by the size of the first task's support set",
           {"rate": maml.by_size_of_first_task}),
)  # fmt: skip

OUTERS = (
    Choice("outer-gradient-at-start", "(I - lr H_0) ... (I - lr H_{k-1}) grad Q(theta_0)",
           "the right product applied to the query gradient at the initial parameters",
           {"outer": maml.at_start, "backward": full}),
    Choice("outer-gradient-before-last-step", "(I - lr H_0) ... (I - lr H_{k-1}) grad Q(theta_{k-1})",
           "the right product applied to the query gradient before the last inner step",
           {"outer": maml.before_end, "backward": full}),
    Choice("multi-step-loss", "1/k sum_{j=1..k} of the gradient of Q(theta_j)",
           "the gradient of the mean of the query losses after every inner step", {"outer": maml.after_each(1, 0)},
           (f"{ANTONIOU}, at the beginning of training",)),
    Choice("multi-step-loss-summed", "sum_{j=1..k} of the gradient of Q(theta_j)",
           "the gradient of the sum of the query losses after every inner step", {"outer": maml.summed_after_each}),
    Choice("multi-step-loss-annealed",
           "0.9 of the gradient of Q(theta_k), 0.1 / (k - 1) of that of each Q(theta_j) before",
           "the gradient of the query losses after every inner step, with nine tenths of the weight on the last",
           {"outer": maml.after_each(9, 10)}, (ANTONIOU,)),
)  # fmt: skip

BACKWARDS = (
    Choice("maml", "mean_t (I - lr H_0) ... (I - lr H_{k-1}) grad Q_t(theta_k)",
           "the full MAML gradient, with the derivative of the adaptation", {"backward": full}, (f"{FINN}, eq. (1)",)),
    Choice("fomaml", "mean_t grad Q_t(theta_k)",
           "the first-order approximation: the query gradient at the adapted parameters, without the derivative of "
           "the adaptation", {"backward": first_order},
           (f"{FINN}, section 5.2", f"{PYTORCH}@98a00d4, meta.py", "learn2learn, first_order=True")),
    Choice("reversed-product", "(I - lr H_{k-1}) ... (I - lr H_0) grad Q(theta_k)",
           "the product of the inner Jacobians in the reverse order: the first step's Hessian is applied first",
           {"backward": through(lambda path: path[:-1][::-1])},
           (f"{NICHOL}, section 5.1, if its product is read with increasing index",)),
    Choice("hessians-at-start", "H_i taken at theta_0",
           "the gradient with every Hessian taken at the initial parameters",
           {"backward": through(lambda path: path[:1] * (len(path) - 1))}),
    Choice("hessian-at-next-iterate", "H_i taken at theta_{i+1}",
           "the gradient with every Hessian taken after its step instead of before",
           {"backward": through(lambda path: path[1:])}),
    Choice("hessians-at-end", "H_i taken at theta_k",
           "the gradient with every Hessian taken at the adapted parameters",
           {"backward": through(lambda path: path[-1:] * (len(path) - 1))}),
    Choice("query-hessians", "H_i = Hess Q(theta_i)",
           "the gradient with Hessians of the query loss in place of the support loss",
           {"backward": through(lambda path: path[:-1], query=True)}),
    Choice("neumann-first-order", "grad Q(theta_k) - lr sum_i H_i grad Q(theta_k)",
           "the expansion of the gradient to first order in lr: the products of Hessians are missing",
           {"backward": maml.to_first_order_in_lr}, (f"{NICHOL}, section 5.1, the leading-order expansion",)),
    Choice("one-leap", "(I - k lr H_0) grad Q(theta_k)",
           "the gradient through a single step of k times the rate: all steps but one are left out of the graph",
           {"backward": maml.in_one_leap}),
    Choice("lr-missing-in-backward", "v <- v - H_i v", "the backward recursion without its learning rate",
           {"backward": through(lambda path: path[:-1], lambda lr: 1 + 0 * lr)}),
    Choice("lr-halved-in-backward", "v <- v - lr/2 H_i v", "the backward recursion with half its learning rate",
           {"backward": through(lambda path: path[:-1], lambda lr: lr / 2)}),
    Choice("lr-doubled-in-backward", "v <- v - 2 lr H_i v", "the backward recursion with twice its learning rate",
           {"backward": through(lambda path: path[:-1], lambda lr: 2 * lr)}),
    Choice("lr-sign-in-backward", "v <- v + lr H_i v",
           "the backward recursion with the sign of its learning rate changed",
           {"backward": through(lambda path: path[:-1], lambda lr: -lr)}),
    Choice("first-hvp-missing", "(I - lr H_1) ... (I - lr H_{k-1}) grad Q(theta_k)",
           "the gradient without the Hessian of the first inner step: the graph is cut after it",
           {"backward": through(lambda path: path[1:-1])}),
    Choice("last-hvp-missing", "(I - lr H_0) ... (I - lr H_{k-2}) grad Q(theta_k)",
           "the gradient without the Hessian of the last inner step: that step alone is first-order",
           {"backward": through(lambda path: path[:-2])}),
    Choice("last-step-only", "(I - lr H_{k-1}) grad Q(theta_k)",
           "the gradient through the last inner step alone: the graph is cut before it",
           {"backward": through(lambda path: path[-2:-1])}),
    Choice("last-two-steps-only", "(I - lr H_{k-2}) (I - lr H_{k-1}) grad Q(theta_k)",
           "the gradient through the last two inner steps: the graph is cut before them",
           {"backward": through(lambda path: path[-3:-1])}),
    Choice("last-three-steps-only", "(I - lr H_{k-3}) (I - lr H_{k-2}) (I - lr H_{k-1}) grad Q(theta_k)",
           "the gradient through the last three inner steps: the graph is cut before them",
           {"backward": through(lambda path: path[-4:-1])}),
    Choice("first-step-only", "(I - lr H_0) grad Q(theta_k)",
           "the gradient through the first inner step alone: all others are first-order",
           {"backward": through(lambda path: path[:-1][:1])}),
)  # fmt: skip

STARTS = (
    Choice(
        "task-leakage",
        "theta_0 of task t is theta_k of task t - 1",
        "each task's gradient from where the task before it ended: the adaptation happens in place",
        {"leaks": True},
    ),
)

QUANTITIES = (
    Choice("outer-loss-summed", "N_Q g",
           "the gradient of a query loss summed over its examples where the mean is asked for",
           {"quantity": maml.outer_loss_summed}),
    Choice("query-size-of-first-task", "N_Q g / N_Q1",
           "the gradient for query losses that are all divided by the size of the first task's query set",
           {"quantity": maml.outer_size_of_first_task}),
    Choice("reptile-direction", "mean_t (theta_0 - theta_k) / lr",
           "Reptile's direction, the sum of the inner gradients", {"quantity": maml.inner_direction, **UNUSED},
           (f"{NICHOL}, algorithm 2",)),
    Choice("updated-parameters", "theta - lr g",
           "the parameters after an outer step of the inner rate, where the gradient is asked for",
           {"quantity": maml.parameters}),
    Choice("adapted-parameters", "mean_t theta_k", "the adapted parameters, where the gradient is asked for",
           {"quantity": maml.adapted, **UNUSED}),
)  # fmt: skip

CHOICES = (
    *BACKWARDS, *REDUCTION_CHOICES, *STEPS, *SETS, *RATES, *OUTERS, *STARTS, *SIZE_CHOICES, *QUANTITIES,
    Choice(
        "fomaml-sum-over-tasks",
        "sum_t grad Q_t(theta_k)",
        "the first-order approximation, summed over tasks where the mean is asked for",
        {"backward": first_order, "tasks": summed},
    ),
    Choice(
        "fomaml-last-task-divided",
        "grad Q_T(theta_k) / T",
        "the first-order approximation of the last task alone, divided by the number of tasks",
        {"backward": first_order, "tasks": last_divided},
        (f"{PYTORCH}@01ad898, meta.py", "uvm-neurobotics-lab/ANML, issue 3"),
    ),
)  # fmt: skip

ZERO = Variant(
    "zero",
    "0",
    "the graph is cut between the parameters and the query loss",
    ("higher, copy_initial_weights=True", "torchopt, stop_gradient between inner steps"),
    measured(lambda loss, theta, tasks, lr, steps: 0 * theta),
)

CHAINED = ("task-leakage",)


def inner_steps(tasks: Sequence[Any], steps: int) -> int:
    """The inner steps of all tasks, one after another."""
    return len(tasks) * steps


def variants(base: Recipe) -> tuple[Variant, ...]:
    """Those that deviate from `base` along one axis, and zero."""
    return (*affordable(singles(compute, base, CHOICES), CHAINED, inner_steps), ZERO)


def pairs(base: Recipe) -> tuple[Variant, ...]:
    """Those that deviate from `base` along two axes."""
    return affordable(products(compute, base, CHOICES), CHAINED, inner_steps)


MAML_VARIANTS = variants(Recipe())
FOMAML_VARIANTS = variants(Recipe(backward=first_order))
