r"""MAML, first-order MAML and Reptile with plain gradient descent as the inner loop.

For one task, with support loss L and query loss Q, each of k inner steps is, with the learning rate :math:`\alpha`,
:math:`\theta_{i+1} = \theta_i - \alpha \nabla L(\theta_i)`. The gradient of :math:`Q(\theta_k)` by :math:`\theta_0`
[finn2017]_ is by the chain rule

.. math:: \nabla F = (I - \alpha H_0)(I - \alpha H_1) \cdots (I - \alpha H_{k-1}) \nabla Q(\theta_k),
   :label: maml-gradient

with :math:`H_i` the Hessian of L at :math:`\theta_i`, for :math:`I - \alpha H_i` is the derivative of a step. This is
evaluated from the right: the Hessian of the *last* step is applied *first*, by :math:`v \leftarrow v - \alpha H_i v`
for i = k - 1, ..., 0. The Hessians do not commute, so the reversed product is another vector; on one step, or for a
quadratic loss on one batch, the two agree.

First-order MAML (FOMAML) leaves the product out:

.. math:: \nabla F_\mathrm{FO} = \nabla Q(\theta_k).
   :label: fomaml-gradient

Reptile [nichol2018]_ moves :math:`\theta`, with an outer step :math:`\varepsilon`, towards what it becomes on tasks t:

.. math:: \theta \leftarrow \theta + \varepsilon \operatorname{mean}_t (\theta^{(t)} - \theta).
   :label: reptile-update

All three are means over the tasks. Tasks whose arrays have the same shapes are computed together, as `refgrad.vmap`
does, in blocks of bounded memory; a loss that cannot be computed so (it branches on a value, or hands it to a function
that is no operation of the engine) is computed for one task after the other. Where these differ from well-known
implementations:

1. mean, not sum, over tasks (the omniglot example of the library ``higher`` sums);
2. FOMAML takes k support steps, and then the query gradient; [nichol2018]_ counts that one among its k gradients;
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
from functools import wraps
from typing import Any

import numpy as np

from refgrad import numpy as rnp
from refgrad import tree
from refgrad.autodiff import grad, linearize, vmap
from refgrad.autodiff.blocks import nbytes, spans
from refgrad.autodiff.core import primal
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput, NotConverged, ShapeError
from refgrad.linalg import all_finite
from refgrad.typing import Array, Scalar, ScalarFunction, Tree

__all__ = ["adapt", "fomaml_gradient", "maml_gradient", "reptile_update"]

Task = tuple[Any, Any]
Losses = Sequence[Callable[[Tree], Array]]
"""The losses of one batch each, as functions of the parameters."""


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
        path.append(_step(path[-1], grad(loss)(path[-1], batch), lr, i, len(batches)))
    return path


def _step(theta: Tree, slope: Tree, lr: Scalar, i: int, steps: int) -> Tree:
    """The parameters after step i of `steps`."""
    theta = tree.map(lambda t, g: t - lr * g, theta, slope)
    if not all(all_finite(leaf) for leaf in tree.flatten(theta)[0]):
        raise NotConverged(
            f"the inner loop diverged: parameters are infinite or NaN after step {i + 1} of {steps}. "
            f"Expected finite inputs and a smaller learning rate than {lr!r}."
        )
    return theta


def maml_gradient(loss: ScalarFunction, theta: Tree, tasks: Sequence[Task], lr: Scalar, steps: int) -> Tree:
    """The mean over tasks of the exact gradient of ``loss(theta_k, query)`` by theta, equation (maml-gradient).

    Parameters
    ----------
    loss : callable
        ``loss(theta, batch)``, one number; whatever scale it has, sum or mean, carries over.
    theta : tree
        The initial parameters.
    tasks : sequence of (support, query)
        Two batches each, handed to `loss` in the containers they are in. Arrays that are one object in all tasks, and
        whatever is no array, are shared and not stacked.
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

    def of_task(theta: Tree, losses: Losses) -> Tree:
        support, query = losses
        products = []
        for i in range(steps):
            slope, product = linearize(grad(support), theta)
            products.append(product)
            theta = _step(theta, slope, lr, i, steps)
        v = grad(query)(theta)
        for product in reversed(products):  # the Hessian at theta_i times v
            v = tree.map(lambda a, b: a - lr * b, v, product(v))  # eq: maml-gradient
        return v

    return _mean_over_tasks(of_task, loss, theta, tasks, steps)


def fomaml_gradient(loss: ScalarFunction, theta: Tree, tasks: Sequence[Task], lr: Scalar, steps: int) -> Tree:
    """The mean over tasks of the gradient of ``loss(., query)`` at the adapted parameters, equation (fomaml-gradient).

    Result and errors are those of `maml_gradient`.

    Parameters
    ----------
    loss, theta, tasks, lr, steps : as in `maml_gradient`
    """
    tasks, steps, lr = _check(tasks, steps, lr)

    def of_task(theta: Tree, losses: Losses) -> Tree:
        support, query = losses
        adapted = _descend([support] * steps, theta, lr)
        return grad(query)(adapted)  # eq: fomaml-gradient

    return _mean_over_tasks(of_task, loss, theta, tasks, 1)


def reptile_update(
    loss: ScalarFunction, theta: Tree, tasks: Sequence[Sequence[Any]], lr: Scalar, epsilon: Scalar
) -> Tree:
    """The parameters moved by `epsilon` towards the mean of the adapted ones, equation (reptile-update).

    Parameters
    ----------
    loss, theta : as in `maml_gradient`
    tasks : sequence of sequences
        The batches of each task, one step of gradient descent each.
    lr : as in `maml_gradient`
    epsilon : number
        The outer step; 1 puts theta at the mean of the adapted parameters.
    """
    tasks = [list(batches) for batches in tasks]
    lr = _number(lr, "lr")
    epsilon = _number(epsilon, "epsilon")
    if not tasks or not all(tasks):
        raise InvalidInput("reptile_update: expected at least one task, and at least one batch in each")

    def of_task(theta: Tree, losses: Losses) -> Tree:
        return tree.map(lambda end, start: end - start, _descend(losses, theta, lr), theta)

    move = _mean_over_tasks(of_task, loss, theta, tasks, 1)
    return tree.map(lambda t, m: t + epsilon * m, theta, move)  # eq: reptile-update


def _descend(losses: Losses, theta: Tree, lr: Scalar) -> Tree:
    """The parameters after one step on each of the losses."""
    for i, loss in enumerate(losses):
        theta = _step(theta, grad(loss)(theta), lr, i, len(losses))
    return theta


def _mean_over_tasks(
    of_task: Callable[[Tree, Losses], Tree], loss: ScalarFunction, theta: Tree, tasks: Sequence[Any], copies: int
) -> Tree:
    """The mean of ``of_task(theta, losses)``, which holds `copies` of the parameters at a time, over the tasks.

    Tasks of one shape are computed together: of_task gets the parameters of each, stacked, and losses that are sums
    over the tasks, so that gradients and Hessian-vector products are those of each task.
    """
    groups: dict[Any, list[Any]] = {}
    for task in tasks:
        groups.setdefault(_shapes(task), []).append(task)
    total: Tree = None
    for group in groups.values():
        for span in spans(len(group), nbytes((theta, group[0])) * copies):
            for term in _terms(of_task, loss, theta, group[span]):
                total = term if total is None else tree.map(operator.add, total, term)
    return tree.map(lambda a: a / len(tasks), total)


def _terms(
    of_task: Callable[[Tree, Losses], Tree], loss: ScalarFunction, theta: Tree, tasks: Sequence[Any]
) -> Sequence[Tree]:
    """What adds up to the sum of of_task over tasks of one shape."""
    if len(tasks) > 1 and all(_is_array(leaf) for leaf in tree.flatten(theta)[0]):
        try:
            stacked = tree.map(lambda leaf: rnp.stack([leaf] * len(tasks)), theta)
            found = of_task(stacked, [_summed(loss, batches) for batches in zip(*tasks, strict=True)])
            return [tree.map(lambda a: rnp.sum(a, axis=0), found)]
        except Exception:  # for whatever reason: if it is not that they are many, the loop raises it again
            pass
    return [of_task(theta, [_at(loss, batch) for batch in task]) for task in tasks]


def _at(loss: ScalarFunction, batch: Any) -> Callable[[Tree], Array]:
    @wraps(loss)
    def loss_at(theta: Tree) -> Array:
        return loss(theta, batch)

    return loss_at


def _summed(loss: ScalarFunction, batches: Sequence[Any]) -> Callable[[Tree], Array]:
    """The sum of the losses of several batches of one shape, each at parameters of its own."""
    structure = tree.flatten(batches[0])[1]
    columns = list(zip(*(tree.flatten(batch)[0] for batch in batches), strict=True))
    shared = [not _is_array(column[0]) or all(leaf is column[0] for leaf in column) for column in columns]
    leaves = [column[0] if same else rnp.stack(column) for column, same in zip(columns, shared, strict=True)]

    @wraps(loss)
    def loss_of_one(theta: Tree, *leaves: Any) -> Array:
        return loss(theta, structure.unflatten(leaves))

    def summed(thetas: Tree) -> Array:
        losses = vmap(loss_of_one, (0, *(None if same else 0 for same in shared)))(thetas, *leaves)
        if shape_of(losses) != (len(batches),):
            raise ShapeError(f"expected one number from the loss, got shape {shape_of(losses)[1:]}")
        return rnp.sum(losses)

    return summed


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "shape") and hasattr(leaf, "dtype")


def _shapes(task: Any) -> Any:
    """What tasks have in common that can be computed together: all but the numbers in their arrays."""
    leaves, structure = tree.flatten(task)
    return structure, tuple(
        (type(primal(leaf)), leaf.dtype, leaf.shape)
        if _is_array(leaf)
        else (type(leaf), leaf if isinstance(leaf, (int, float, complex, str)) else id(leaf))
        for leaf in leaves
    )


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
