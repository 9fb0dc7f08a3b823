"""What is computed in place of the MAML gradient, exactly: each formula has been seen in public code or is a near miss.

Every function takes the contract's arguments ``(loss, theta, tasks, lr, steps)``. `MAML_VARIANTS` belongs to the
contract ``maml_gradient``, `FOMAML_VARIANTS` to ``fomaml_gradient``, where the MAML gradient is itself a variant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.contracts.meta.maml import fomaml_gradient, iterates, maml_gradient, mean, outer, pull_back
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.losses import Loss
from refgrad.typing import Array, Scalar

__all__ = ["FOMAML_VARIANTS", "MAML_VARIANTS"]

Method = Callable[[Loss, Array, Sequence[Any], Scalar, int], Answer]
TaskMethod = Callable[[Loss, Array, Any, Scalar, int], Answer]


def over_tasks(method: TaskMethod) -> Method:
    """The mean over tasks of a formula for one task."""
    return lambda loss, theta, tasks, lr, steps: mean([method(loss, theta, task, lr, steps) for task in tasks])


def times(answer: Answer, factor: Scalar) -> Answer:
    """``factor`` times an answer."""
    return Answer(factor * answer.value, abs(factor) * answer.magnitude)


def along(choose: Callable[[list[Array]], list[Array]]) -> Method:
    """MAML with its Hessians taken at other points of the trajectory, in the order of the steps they stand for."""

    def method(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
        support, query = task
        path = iterates(loss, theta, support, lr, steps)
        return pull_back(loss, outer(loss, path[-1], query), choose(path), support, lr)

    return over_tasks(method)


def with_backward_rate(rate: Callable[[Scalar], Scalar]) -> Method:
    """MAML with another learning rate in the backward recursion."""

    def method(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
        support, query = task
        path = iterates(loss, theta, support, lr, steps)
        return pull_back(loss, outer(loss, path[-1], query), path[:-1], support, rate(lr))

    return over_tasks(method)


def on_tasks(method: Method, change: Callable[[Any], Any]) -> Method:
    """A method after every (support, query) pair has been changed."""
    return lambda loss, theta, tasks, lr, steps: method(loss, theta, [change(t) for t in tasks], lr, steps)


def with_steps(method: Method, change: int) -> Method:
    """A method with more or fewer inner steps."""
    return lambda loss, theta, tasks, lr, steps: method(loss, theta, tasks, lr, max(0, steps + change))


def summed(method: Method) -> Method:
    """The sum over tasks in place of the mean."""
    return lambda loss, theta, tasks, lr, steps: times(method(loss, theta, tasks, lr, steps), len(tasks))


def of_one_task(method: Method, index: int, divided: bool = False) -> Method:
    """One task alone, perhaps divided by the number of tasks."""

    def one(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, steps: int) -> Answer:
        answer = method(loss, theta, [tasks[index]], lr, steps)
        return Answer(answer.value / len(tasks), answer.magnitude / len(tasks)) if divided else answer

    return one


def leaking(pulled_back: bool) -> Method:
    """Each task adapts from where the task before it ended.

    A step on a quartic loss triples the length of a rational number, so long chains are left out.
    """

    def method(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, steps: int) -> Answer:
        if len(tasks) * steps > 6:
            raise NotApplicable("the chain of inner steps through all tasks is too long for rational numbers")
        start, answers = theta, []
        for support, query in tasks:
            path = iterates(loss, start, support, lr, steps)
            v = outer(loss, path[-1], query)
            answers.append(pull_back(loss, v, path[:-1], support, lr) if pulled_back else v)
            start = path[-1]
        return mean(answers)

    return method


def zero(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, steps: int) -> Answer:
    """Zeros, as where the graph is cut before theta."""
    return Answer(0 * theta, 0 * theta)


def neumann(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
    """``grad Q(theta_k) - lr sum_i H_i grad Q(theta_k)``: the product to first order in lr."""
    support, query = task
    path = iterates(loss, theta, support, lr, steps)
    v = outer(loss, path[-1], query)
    value, magnitude = v.value, v.magnitude
    for point in path[:-1]:
        value = value - lr * loss.hvp(point, support, v.value)
        magnitude = magnitude + abs(lr) * loss.hvp_terms(point, support, v.value)
    return Answer(value, magnitude)


def query_hessians(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
    """The backward recursion with the Hessians of the query loss."""
    support, query = task
    path = iterates(loss, theta, support, lr, steps)
    return pull_back(loss, outer(loss, path[-1], query), path[:-1], query, lr)


def outer_gradient_at_start(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
    """The backward recursion begun with ``grad Q(theta_0)``."""
    support, query = task
    path = iterates(loss, theta, support, lr, steps)
    return pull_back(loss, outer(loss, theta, query), path[:-1], support, lr)


def reptile_direction(loss: Loss, theta: Array, task: Any, lr: Scalar, steps: int) -> Answer:
    """``(theta_0 - theta_k) / lr``: the sum of the inner gradients."""
    answers = [outer(loss, point, task[0]) for point in iterates(loss, theta, task[0], lr, steps)[:-1]]
    return times(mean(answers), len(answers))


def inner_loss_summed(method: Method) -> Method:
    """The support loss summed over its examples: the learning rate is multiplied by their number."""
    return lambda loss, theta, tasks, lr, steps: method(loss, theta, tasks, lr * tasks[0][0][1].shape[0], steps)


def outer_loss_summed(method: Method) -> Method:
    """The query loss summed over its examples."""
    return lambda loss, theta, tasks, lr, steps: times(method(loss, theta, tasks, lr, steps), tasks[0][1][1].shape[0])


FINN = "Finn, Abbeel and Levine 2017, arXiv 1703.03400"
NICHOL = "Nichol, Achiam and Schulman 2018, arXiv 1803.02999"
at_start = with_steps(fomaml_gradient, -(10**6))
support_only: Callable[[Any], Any] = lambda task: (task[0], task[0])  # noqa: E731
query_only: Callable[[Any], Any] = lambda task: (task[1], task[1])  # noqa: E731

FOMAML = Variant(
    "fomaml",
    "mean_t grad Q_t(theta_k)",
    "the first-order approximation: the query gradient at the adapted parameters, without the derivative of the "
    "adaptation",
    (f"{FINN}, section 5.2", "dragen1860/MAML-Pytorch@98a00d4, meta.py", "learn2learn, first_order=True"),
    fomaml_gradient,
)
MAML = Variant(
    "maml",
    "mean_t (I - lr H_0) ... (I - lr H_{k-1}) grad Q_t(theta_k)",
    "the full MAML gradient, with the derivative of the adaptation",
    (f"{FINN}, eq. (1)",),
    maml_gradient,
)


def shared(method: Method) -> tuple[Variant, ...]:
    """The variants that both contracts know: wrong data, wrong number of steps, wrong sum over tasks."""
    return (
        Variant(
            "zero",
            "0",
            "zero: the graph is cut between the parameters and the query loss",
            ("higher, copy_initial_weights=True", "torchopt, stop_gradient between inner steps"),
            zero,
        ),
        Variant(
            "sum-over-tasks",
            "sum_t g_t",
            "the sum over tasks where the mean is asked for",
            ("facebookresearch/higher, examples/maml-omniglot.py",),
            summed(method),
        ),
        Variant(
            "one-step-fewer",
            "g with k - 1 inner steps",
            "the gradient after one inner step fewer",
            (),
            with_steps(method, -1),
        ),
        Variant(
            "one-step-more",
            "g with k + 1 inner steps",
            "the gradient after one inner step more",
            (),
            with_steps(method, 1),
        ),
        Variant(
            "support-loss-in-outer",
            "Q_t replaced by S_t",
            "the outer gradient of the support loss: the query set is not used",
            (f"{NICHOL}, section 5.1, where the last inner batch is the outer batch",),
            on_tasks(method, support_only),
        ),
        Variant(
            "adapts-on-query",
            "S_t replaced by Q_t",
            "the gradient after adaptation on the query set: the support set is not used",
            (),
            on_tasks(method, query_only),
        ),
        Variant(
            "gradient-at-start",
            "mean_t grad Q_t(theta_0)",
            "the query gradient at the initial parameters: no adaptation takes place",
            (),
            at_start,
        ),
        Variant(
            "support-gradient-at-start",
            "mean_t grad S_t(theta_0)",
            "the support gradient at the initial parameters: a prediction made before the adaptation enters the loss",
            ("learnables/learn2learn@db5cee3, examples/maml_toy.py, lines 46-53",),
            on_tasks(at_start, support_only),
        ),
        Variant(
            "last-task-only",
            "g_T",
            "the gradient of the last task alone",
            (),
            of_one_task(method, -1),
        ),
        Variant(
            "last-task-divided",
            "g_T / T",
            "the gradient of the last task alone, divided by the number of tasks",
            ("dragen1860/MAML-Pytorch@01ad898, meta.py",),
            of_one_task(method, -1, divided=True),
        ),
        Variant(
            "first-task-only",
            "g_1",
            "the gradient of the first task alone",
            ("metaopt/torchopt, examples/MAML-RL/func_maml.py",),
            of_one_task(method, 0),
        ),
        Variant(
            "inner-loss-summed",
            "lr replaced by lr N_S",
            "the gradient for a support loss summed over its examples where the mean is asked for",
            ("openai/supervised-reptile@8f2b71c, models.py",),
            inner_loss_summed(method),
        ),
        Variant(
            "outer-loss-summed",
            "N_Q g",
            "the gradient of a query loss summed over its examples where the mean is asked for",
            (),
            outer_loss_summed(method),
        ),
        Variant(
            "reptile-direction",
            "mean_t (theta_0 - theta_k) / lr",
            "Reptile's direction, the sum of the inner gradients",
            (f"{NICHOL}, algorithm 2",),
            over_tasks(reptile_direction),
        ),
    )


FOMAML_VARIANTS: tuple[Variant, ...] = (
    MAML,
    *shared(fomaml_gradient),
    Variant(
        "task-leakage",
        "theta_0 of task t is theta_k of task t - 1",
        "each task's gradient from where the task before it ended: the adaptation happens in place",
        (),
        leaking(pulled_back=False),
    ),
)

MAML_VARIANTS: tuple[Variant, ...] = (
    FOMAML,
    Variant(
        "reversed-product",
        "(I - lr H_{k-1}) ... (I - lr H_0) grad Q(theta_k)",
        "the product of the inner Jacobians in the reverse order: the first step's Hessian is applied first",
        (f"{NICHOL}, section 5.1, if its product is read with increasing index",),
        along(lambda path: path[:-1][::-1]),
    ),
    *shared(maml_gradient),
    Variant(
        "fomaml-sum-over-tasks",
        "sum_t grad Q_t(theta_k)",
        "the first-order approximation, summed over tasks where the mean is asked for",
        (),
        summed(fomaml_gradient),
    ),
    Variant(
        "fomaml-last-task-divided",
        "grad Q_T(theta_k) / T",
        "the first-order approximation of the last task alone, divided by the number of tasks",
        ("dragen1860/MAML-Pytorch@01ad898, meta.py", "uvm-neurobotics-lab/ANML, issue 3"),
        of_one_task(fomaml_gradient, -1, divided=True),
    ),
    Variant(
        "task-leakage",
        "theta_0 of task t is theta_k of task t - 1",
        "each task's gradient from where the task before it ended: the adaptation happens in place",
        (),
        leaking(pulled_back=True),
    ),
    Variant(
        "hessians-at-start",
        "H_i taken at theta_0",
        "the gradient with every Hessian taken at the initial parameters",
        (),
        along(lambda path: [path[0]] * (len(path) - 1)),
    ),
    Variant(
        "hessian-at-next-iterate",
        "H_i taken at theta_{i+1}",
        "the gradient with every Hessian taken after its step instead of before",
        (),
        along(lambda path: path[1:]),
    ),
    Variant(
        "hessians-at-end",
        "H_i taken at theta_k",
        "the gradient with every Hessian taken at the adapted parameters",
        (),
        along(lambda path: [path[-1]] * (len(path) - 1)),
    ),
    Variant(
        "query-hessians",
        "H_i = Hess Q(theta_i)",
        "the gradient with Hessians of the query loss in place of the support loss",
        (),
        over_tasks(query_hessians),
    ),
    Variant(
        "neumann-first-order",
        "grad Q(theta_k) - lr sum_i H_i grad Q(theta_k)",
        "the expansion of the gradient to first order in lr: the products of Hessians are missing",
        (f"{NICHOL}, section 5.1, the leading-order expansion",),
        over_tasks(neumann),
    ),
    Variant(
        "lr-missing-in-backward",
        "v <- v - H_i v",
        "the backward recursion without its learning rate",
        (),
        with_backward_rate(lambda lr: 1 + 0 * lr),
    ),
    Variant(
        "lr-sign-in-backward",
        "v <- v + lr H_i v",
        "the backward recursion with the sign of its learning rate changed",
        (),
        with_backward_rate(lambda lr: -lr),
    ),
    Variant(
        "first-hvp-missing",
        "(I - lr H_1) ... (I - lr H_{k-1}) grad Q(theta_k)",
        "the gradient without the Hessian of the first inner step: the graph is cut after it",
        (),
        along(lambda path: path[1:-1]),
    ),
    Variant(
        "last-hvp-missing",
        "(I - lr H_0) ... (I - lr H_{k-2}) grad Q(theta_k)",
        "the gradient without the Hessian of the last inner step: that step alone is first-order",
        (),
        along(lambda path: path[:-2]),
    ),
    Variant(
        "outer-gradient-at-start",
        "(I - lr H_0) ... (I - lr H_{k-1}) grad Q(theta_0)",
        "the right product applied to the query gradient at the initial parameters",
        (),
        over_tasks(outer_gradient_at_start),
    ),
)
