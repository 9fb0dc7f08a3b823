"""Meta-gradients by hand, of MAML through explicit Hessian-vector products and of FOMAML, and what is done otherwise.

One task: ``theta_{i+1} = theta_i - lr grad S(theta_i)`` for i = 0 .. k-1, with the support loss S, then the gradient
of the query loss Q at ``theta_k`` is pulled back through the steps, the last one first:

    v <- grad Q(theta_k);   for i = k-1 .. 0:   v <- v - lr H_i v,     H_i = Hess S(theta_i).

A `Recipe` has a field for everything in this that people's code does otherwise; `compute` makes its formula.

References
----------
Finn, Abbeel and Levine 2017, arXiv 1703.03400, eq. (1) and section 5.2; Nichol, Achiam and Schulman 2018, arXiv
1803.02999, section 5.1 (whose product of Jacobians has to be read with decreasing index).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from refgrad.contracts.meta.reductions import Reduction, mean, size
from refgrad.contracts.tools.losses import Loss
from refgrad.contracts.tools.terms import measured, settled
from refgrad.typing import Array, Scalar

__all__ = ["Recipe", "compute", "first_order", "fomaml_gradient", "iterates", "maml_gradient", "pull_back", "through"]

Formula = Callable[..., Array]
Points = Callable[[list[Array]], list[Array]]


@dataclass(frozen=True)
class Task:
    """One task after its inner steps: the losses' batches, ``[theta_0, ..., theta_k]``, and the inner rate."""

    loss: Loss
    inner: Any
    outer: Any
    path: list[Array]
    lr: Scalar


Backward = Callable[[Task, list[Array], Array], Array]


def through(points: Points, rate: Callable[[Scalar], Scalar] = lambda lr: lr, *, query: bool = False) -> Backward:
    """The product of a factor ``I - lr H`` for each of the points that are chosen on the path, the last one first.

    Parameters
    ----------
    points : callable
        Of the path, the points in the order of the steps that they stand for.
    rate : callable
        Of lr, what stands in its place.
    query : bool
        Whether H is the Hessian of the query loss.
    """

    def backward(task: Task, path: list[Array], v: Array) -> Array:
        return pull_back(task.loss, v, points(path), task.outer if query else task.inner, rate(task.lr))

    return backward


full = through(lambda path: path[:-1])
first_order = through(lambda path: [])


def to_first_order_in_lr(task: Task, path: list[Array], v: Array) -> Array:
    """``v - lr sum_i H_i v``."""
    result = v
    for point in path[:-1]:
        result = result - task.lr * task.loss.hvp(point, task.inner, settled(v))
    return result


def in_one_leap(task: Task, path: list[Array], v: Array) -> Array:
    """``v - k lr H_0 v``."""
    steps = len(path) - 1
    return v - steps * task.lr * task.loss.hvp(path[0], task.inner, settled(v))


Outer = Callable[[int], tuple[list[tuple[int, int, int]], int]]


def at_end(steps: int) -> tuple[list[tuple[int, int, int]], int]:
    """Of k steps: through all of them the query gradient at the last point."""
    return [(steps, steps, 1)], 1


def at_start(steps: int) -> tuple[list[tuple[int, int, int]], int]:
    """Through all steps the query gradient at the first point."""
    return [(steps, 0, 1)], 1


def before_end(steps: int) -> tuple[list[tuple[int, int, int]], int]:
    """Through all steps the query gradient before the last one."""
    return [(steps, max(0, steps - 1), 1)], 1


def after_each(last: int, whole: int) -> Outer:
    """The query loss after every step: `last` parts of the `whole` for the last one, the others equal.

    With a whole of 0 each has the weight 1 / k.
    """

    def outer(steps: int) -> tuple[list[tuple[int, int, int]], int]:
        if steps < 2 or not whole:
            return [(j, j, 1) for j in range(1, steps + 1)] or [(0, 0, 1)], max(1, steps)
        earlier = [(j, j, whole - last) for j in range(1, steps)]
        return [*earlier, (steps, steps, last * (steps - 1))], whole * (steps - 1)

    return outer


def summed_after_each(steps: int) -> tuple[list[tuple[int, int, int]], int]:
    """The sum of the query losses after every step."""
    return after_each(1, 0)(steps)[0], 1


def gradient(task: Task, recipe: Recipe, tasks: Sequence[Any]) -> Array:
    """``sum_j w_j (I - lr H_0) ... (I - lr H_{j-1}) grad Q(theta_j)``, or what the recipe has in place of it."""
    parts, whole = recipe.outer(len(task.path) - 1)
    total: Array = 0
    for steps, point, weight in parts:
        v = task.loss.grad(task.path[point], task.outer)
        total = total + weight * recipe.backward(task, task.path[: steps + 1], v)
    return total / whole


def outer_loss_summed(task: Task, recipe: Recipe, tasks: Sequence[Any]) -> Array:
    """``N_Q g``."""
    return size(task.outer) * gradient(task, recipe, tasks)


def outer_size_of_first_task(task: Task, recipe: Recipe, tasks: Sequence[Any]) -> Array:
    """``N_Q g / N_Q1``, N_Q1 the examples in the query set of the first task."""
    return outer_loss_summed(task, recipe, tasks) / size(tasks[0][recipe.sets[1]])


def inner_direction(task: Task, recipe: Recipe, tasks: Sequence[Any]) -> Array:
    """``(theta_0 - theta_k) / lr``: the sum of the inner gradients."""
    total: Array = 0 * task.path[0]
    for point in task.path[:-1]:
        total = total + task.loss.grad(point, task.inner)
    return total


def parameters(task: Task, recipe: Recipe, tasks: Sequence[Any]) -> Array:
    """``theta_0 - lr g``."""
    return task.path[0] - task.lr * gradient(task, recipe, tasks)


def adapted(task: Task, recipe: Recipe, tasks: Sequence[Any]) -> Array:
    """``theta_k``."""
    return task.path[-1]


def as_given(lr: Scalar, batch: Any, first: Any) -> Scalar:
    """``lr``."""
    return lr


def times_size(lr: Scalar, batch: Any, first: Any) -> Scalar:
    """``lr N``, for a support loss summed over its N examples."""
    return lr * size(batch)


def by_size_of_first_task(lr: Scalar, batch: Any, first: Any) -> Scalar:
    """``lr N / N_1``, for one divided by the number of examples of the first task."""
    return lr * size(batch) / size(first)


def all_steps(steps: int) -> int:
    """``k``."""
    return steps


@dataclass(frozen=True)
class Recipe:
    """What may be otherwise in a meta-gradient; the defaults are those of ``maml_gradient``.

    Attributes
    ----------
    sets : (int, int)
        Which of a task's sets the inner loss is of, and which the outer one: 0 the support, 1 the query set.
    steps : callable
        Of the number of inner steps, how many are made.
    rate : callable
        ``rate(lr, batch, first)``: the inner rate, from a task's inner batch and that of the first task.
    outer : callable
        Of the number of inner steps: triples (steps to pull back through, iterate of the query gradient, weight), and
        what the weights are divided by.
    backward : callable
        ``backward(task, path, v)``: v pulled back through the steps of `path`.
    leaks : bool
        Whether each task starts where the one before ended.
    tasks : Reduction
    quantity : callable
        ``quantity(task, recipe, tasks)``: what is taken of one task.
    """

    sets: tuple[int, int] = (0, 1)
    steps: Callable[[int], int] = all_steps
    rate: Callable[[Scalar, Any, Any], Scalar] = as_given
    outer: Outer = at_end
    backward: Backward = full
    leaks: bool = False
    tasks: Reduction = mean
    quantity: Callable[[Task, Recipe, Sequence[Any]], Array] = gradient


def compute(recipe: Recipe) -> Formula:
    """The formula of a recipe, a function of ``(loss, theta, tasks, lr, steps)``; a task is (support, query)."""
    inner, outer = recipe.sets

    def formula(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, steps: int) -> Array:
        answers, start = [], theta
        for pair in tasks:
            rate = recipe.rate(lr, pair[inner], tasks[0][inner])
            path = iterates(loss, start, pair[inner], rate, recipe.steps(steps))
            answers.append(recipe.quantity(Task(loss, pair[inner], pair[outer], path, rate), recipe, tasks))
            start = path[-1] if recipe.leaks else theta
        return recipe.tasks(answers, tasks)

    return formula


def iterates(loss: Loss, theta: Array, batch: Any, lr: Scalar, steps: int) -> list[Array]:
    """``[theta_0, ..., theta_steps]`` of gradient descent on one batch."""
    path = [theta]
    for _ in range(steps):
        path.append(settled(path[-1] - lr * loss.grad(path[-1], batch)))
    return path


def pull_back(loss: Loss, v: Array, points: Sequence[Array], batch: Any, lr: Scalar) -> Array:
    """``(I - lr H(points[0])) ... (I - lr H(points[-1])) v``: the last point's Hessian acts first."""
    for point in reversed(points):
        v = v - lr * loss.hvp(point, batch, settled(v))
    return v


maml_gradient = measured(compute(Recipe()))
"""The gradient of the mean over tasks of ``loss(theta_steps, query)`` by the initial theta."""

fomaml_gradient = measured(compute(Recipe(backward=first_order)))
"""The mean over tasks of the query gradient at the adapted parameters, with no derivative of the adaptation."""
