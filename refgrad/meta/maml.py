r"""MAML, first-order MAML and Reptile with plain gradient descent as the inner loop.

For one task, with support loss L and query loss Q, the inner loop is ``theta_{i+1} = theta_i - lr grad L(theta_i)``
for i = 0, ..., k - 1. The exact gradient of ``Q(theta_k)`` by theta_0 [finn2017]_ is

.. math:: \nabla F = (I - \alpha H_0)(I - \alpha H_1) \cdots (I - \alpha H_{k-1}) \nabla Q(\theta_k),
   :label: maml-gradient

with ``H_i`` the Hessian of L at ``theta_i``, before step i. It is evaluated from the right: the Hessian of the *last*
step is applied *first*, by the recursion ``v <- v - lr H_i v`` for i = k - 1, ..., 0. The Hessians do not commute, so
the reversed product is another vector; on one step, or for a quadratic loss on one batch, the two agree.

First-order MAML leaves the product out:

.. math:: \nabla F_\mathrm{FO} = \nabla Q(\theta_k).
   :label: fomaml-gradient

Reptile [nichol2018]_ moves theta towards the adapted parameters:

.. math:: \theta \leftarrow \theta + \varepsilon \operatorname{mean}_i (\theta^{(i)} - \theta).
   :label: reptile-update

All three are means over the tasks. Where these differ from well-known implementations:

1. mean, not sum, over tasks (the omniglot example of higher sums);
2. FOMAML takes k support steps and then the query gradient, which is one gradient more than the k of [nichol2018]_;
3. the support set is one batch, used in every step; for another batch a step write the loss accordingly.

References
----------
.. [finn2017] C. Finn, P. Abbeel, S. Levine, Model-agnostic meta-learning for fast adaptation of deep networks,
   ICML 2017, eq. (1) and section 5.2.
.. [nichol2018] A. Nichol, J. Achiam, J. Schulman, On first-order meta-learning algorithms (2018), Algorithms 1 and 2.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad import tree
from refgrad.autodiff import grad, hvp
from refgrad.errors import InvalidInput, NotConverged
from refgrad.linalg import all_finite
from refgrad.typing import Scalar, ScalarFunction, Tree

__all__ = ["adapt", "fomaml_gradient", "maml_gradient", "reptile_update"]

Task = tuple[Any, Any]


def adapt(loss: ScalarFunction, theta: Tree, batches: Sequence[Any], lr: Scalar) -> list[Tree]:
    """The parameters before and after every step of gradient descent: ``[theta_0, ..., theta_k]``.

    Parameters
    ----------
    loss : callable
        ``loss(theta, batch)``, one number.
    theta : tree
    batches : sequence
        One batch a step.
    lr : number
        The learning rate.

    Raises
    ------
    NotConverged
        If the parameters overflow: the learning rate is too large.
    """
    lr = _number(lr, "lr")
    path = [theta]
    for i, batch in enumerate(batches):
        slope = grad(loss)(path[-1], batch)
        path.append(tree.map(lambda t, g: t - lr * g, path[-1], slope))
        if not all(all_finite(leaf) for leaf in tree.flatten(path[-1])[0]):
            raise NotConverged(
                f"the inner loop diverged: parameters are infinite or NaN after step {i + 1} of {len(batches)}. "
                f"Expected finite inputs and a smaller learning rate than {lr!r}."
            )
    return path


def maml_gradient(loss: ScalarFunction, theta: Tree, tasks: Sequence[Task], lr: Scalar, steps: int) -> Tree:
    """The mean over tasks of the exact gradient of ``loss(theta_k, query)`` by theta, equation (maml-gradient).

    Parameters
    ----------
    loss : callable
        ``loss(theta, batch)``, one number; whatever scale it has, sum or mean, carries over.
    theta : tree
        The initial parameters.
    tasks : sequence of (support, query)
        Two batches each, handed to `loss` as they are.
    lr : number
        The inner learning rate.
    steps : int
        The number k of inner steps, at least 1.

    Returns
    -------
    tree
        As theta.

    Raises
    ------
    InvalidInput
        If there are no tasks, or fewer than one step.
    NotConverged
        If the inner loop overflows.

    Examples
    --------
    For ``loss = a (theta - c)^2 / 2`` with support = query the gradient is ``a (1 - lr a)^(2k) (theta - c)``:

    >>> from refgrad import exact
    >>> from refgrad.meta import maml_gradient
    >>> loss = lambda theta, batch: batch[0] * (theta - batch[1]) @ (theta - batch[1]) / 2
    >>> batch = (2, exact.asarray([3]))
    >>> maml_gradient(loss, exact.asarray([0]), [(batch, batch)], exact.asarray("1/5"), 3)
    ExactArray([-4374/15625])
    """
    tasks, steps, lr = _check(tasks, steps, lr)

    def of_task(task: Task) -> Tree:
        support, query = task
        path = adapt(loss, theta, [support] * steps, lr)
        v = grad(loss)(path[-1], query)
        for before in reversed(path[:-1]):
            curvature = hvp(lambda t: loss(t, support), before, v)
            v = tree.map(lambda a, b: a - lr * b, v, curvature)  # eq: maml-gradient
        return v

    return _mean_over_tasks(of_task, tasks)


def fomaml_gradient(loss: ScalarFunction, theta: Tree, tasks: Sequence[Task], lr: Scalar, steps: int) -> Tree:
    """The mean over tasks of the gradient of ``loss(., query)`` at the adapted parameters, equation (fomaml-gradient).

    Arguments, result and errors are those of `maml_gradient`.
    """
    tasks, steps, lr = _check(tasks, steps, lr)

    def of_task(task: Task) -> Tree:
        support, query = task
        return grad(loss)(adapt(loss, theta, [support] * steps, lr)[-1], query)  # eq: fomaml-gradient

    return _mean_over_tasks(of_task, tasks)


def reptile_update(
    loss: ScalarFunction, theta: Tree, tasks: Sequence[Sequence[Any]], lr: Scalar, epsilon: Scalar
) -> Tree:
    """The parameters moved by `epsilon` towards the mean of the adapted ones, equation (reptile-update).

    Parameters
    ----------
    loss, theta, lr
        As for `maml_gradient`.
    tasks : sequence of sequences
        The batches of each task, one step of gradient descent each.
    epsilon : number
        The outer step; 1 puts theta at the mean of the adapted parameters.
    """
    tasks = [list(batches) for batches in tasks]
    epsilon = _number(epsilon, "epsilon")
    if not tasks or not all(tasks):
        raise InvalidInput("reptile_update: expected at least one task, and at least one batch in each")

    def of_task(batches: Sequence[Any]) -> Tree:
        return tree.map(lambda end, start: end - start, adapt(loss, theta, batches, lr)[-1], theta)

    move = _mean_over_tasks(of_task, tasks)
    return tree.map(lambda t, m: t + epsilon * m, theta, move)  # eq: reptile-update


def _mean_over_tasks(of_task: Callable[[Any], Tree], tasks: Sequence[Any]) -> Tree:
    total = of_task(tasks[0])
    for task in tasks[1:]:
        total = tree.map(lambda a, b: a + b, total, of_task(task))
    return tree.map(lambda a: a / len(tasks), total)


def _check(tasks: Sequence[Task], steps: int, lr: Scalar) -> tuple[list[Task], int, Scalar]:
    tasks = list(tasks)
    if not tasks:
        raise InvalidInput("expected at least one task, got none")
    try:
        count = 0 if isinstance(steps, bool) else operator.index(steps)
    except TypeError:
        count = 0
    if count < 1:
        raise InvalidInput(f"expected a whole number of steps, at least 1; got {steps!r}")
    for i, task in enumerate(tasks):
        if not isinstance(task, (tuple, list)) or len(task) != 2:
            raise InvalidInput(f"task {i}: expected a pair (support, query), got {type(task).__name__}")
    return tasks, count, _number(lr, "lr")


def _number(value: Scalar, name: str) -> Scalar:
    """`value` as a number that leaves the dtype of what it is multiplied with alone."""
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, (str, bool, list, tuple, dict)):
        raise InvalidInput(f"expected {name} to be a number, got {value!r}")
    return value
