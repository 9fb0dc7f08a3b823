"""The update of Reptile by hand, and what is done otherwise.

A task is a list of batches, with one inner step on each, ``U_t(theta)`` where they lead. The batched method takes the
*mean* over tasks: ``theta + epsilon mean_t (U_t(theta) - theta)``.

References
----------
Nichol, Achiam and Schulman 2018, arXiv 1803.02999, algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from refgrad.contracts.meta.reductions import Reduction, mean, size
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.losses import Loss
from refgrad.contracts.tools.terms import measured, settled
from refgrad.typing import Array, Scalar

__all__ = ["Recipe", "compute", "reptile_update"]

Adapt = Callable[[Array, Sequence[Any]], Array]


def same(batches: Sequence[Any]) -> Sequence[Any]:
    """Every batch, in order."""
    return batches


def batched(adapt: Adapt, theta: Array, tasks: Sequence[Any], factor: Scalar, reduction: Reduction) -> Array:
    """``factor mean_t (U_t(theta) - theta)``."""
    return factor * reduction([adapt(theta, batches) - theta for batches in tasks], tasks)


def leaking(adapt: Adapt, theta: Array, tasks: Sequence[Any], factor: Scalar, reduction: Reduction) -> Array:
    """The same with each task adapted from where the one before ended."""
    adapted = [theta]
    for batches in tasks:
        adapted.append(adapt(adapted[-1], batches))
    return factor * reduction([point - theta for point in adapted[1:]], tasks)


def from_one_start(adapt: Adapt, theta: Array, tasks: Sequence[Any], factor: Scalar, reduction: Reduction) -> Array:
    """``theta <- theta + factor (U_t - theta)`` for every task in turn, all U_t of the first theta."""
    now = theta
    for batches in tasks:
        now = now + factor * (adapt(theta, batches) - now)
    return now - theta


def serial(adapt: Adapt, theta: Array, tasks: Sequence[Any], factor: Scalar, reduction: Reduction) -> Array:
    """``theta <- theta + factor (U_t(theta) - theta)`` for every task in turn."""
    now = theta
    for batches in tasks:
        now = now + factor * (adapt(now, batches) - now)
    return now - theta


def descent(loss: Loss, start: Array, batches: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """Where a step on every batch leads."""
    point = start
    for batch, rate in zip(batches, rates, strict=True):
        point = point - rate * loss.grad(settled(point), batch)
    return point


def last_step(loss: Loss, start: Array, batches: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """The last step alone, made from the start instead of from where the others lead."""
    if not batches:
        raise NotApplicable("there is no last step")
    before = descent(loss, start, batches[:-1], rates[:-1])
    return start - rates[-1] * loss.grad(settled(before), batches[-1])


def without_adaptation(loss: Loss, start: Array, batches: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """Every step made with the gradient at the start."""
    point = start
    for batch, rate in zip(batches, rates, strict=True):
        point = point - rate * loss.grad(settled(start), batch)
    return point


def as_given(lr: Scalar, batch: Any) -> Scalar:
    """``lr``."""
    return lr


def times_size(lr: Scalar, batch: Any) -> Scalar:
    """``lr N``, for a loss summed over the N examples of a batch."""
    return lr * size(batch)


def epsilon_alone(epsilon: Scalar, lr: Scalar) -> Scalar:
    """``epsilon``."""
    return epsilon


def updated(theta: Array, move: Array, epsilon: Scalar) -> Array:
    """``theta + move``."""
    return theta + move


def gradient(theta: Array, move: Array, epsilon: Scalar) -> Array:
    """``-move / epsilon``: of which an outer step with the rate epsilon makes the update."""
    return -move / epsilon


@dataclass(frozen=True)
class Recipe:
    """What may be otherwise in an update of Reptile; the defaults are those of ``reptile_update``.

    Attributes
    ----------
    batches : callable
        Of a task's batches, those that are used.
    rate : callable
        ``rate(lr, batch)``: the inner rate on a batch.
    descent : callable
        ``descent(loss, start, batches, rates)``: where a task leads.
    order : callable
        ``order(adapt, theta, tasks, factor, reduction)``: the move of theta by all tasks.
    factor : callable
        ``factor(epsilon, lr)``: what a move is multiplied by.
    tasks : Reduction
    output : callable
        ``output(theta, move, epsilon)``.
    """

    batches: Callable[[Sequence[Any]], Sequence[Any]] = same
    rate: Callable[[Scalar, Any], Scalar] = as_given
    descent: Callable[..., Array] = descent
    order: Callable[..., Array] = batched
    factor: Callable[[Scalar, Scalar], Scalar] = epsilon_alone
    tasks: Reduction = mean
    output: Callable[[Array, Array, Scalar], Array] = updated


def compute(recipe: Recipe) -> Callable[..., Array]:
    """The formula of a recipe, a function of ``(loss, theta, tasks, lr, epsilon)``."""

    def formula(loss: Loss, theta: Array, tasks: Sequence[Any], lr: Scalar, epsilon: Scalar) -> Array:
        def adapt(start: Array, batches: Sequence[Any]) -> Array:
            chosen = recipe.batches(batches)
            return recipe.descent(loss, start, chosen, [recipe.rate(lr, batch) for batch in chosen])

        move = recipe.order(adapt, theta, tasks, recipe.factor(epsilon, lr), recipe.tasks)
        return recipe.output(theta, move, epsilon)

    return formula


reptile_update = measured(compute(Recipe()))
"""``theta + epsilon mean_t (U_t(theta) - theta)``, shape (p,)."""
