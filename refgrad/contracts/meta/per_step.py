"""Meta-gradients where every inner step has its own batch and its own rate, and the gradients by these rates.

One task: ``theta_{i+1} = theta_i - a_i grad L_i(theta_i)`` for i = 0 .. k-1, then the query loss Q at ``theta_k``.
With ``v_k = grad Q(theta_k)`` and ``H_i = Hess L_i(theta_i)``, the adjoint of ``theta_i`` is

    v_i = v_{i+1} - a_i H_i v_{i+1},     dF/d theta_0 = v_0,     dF/d a_i = -<v_{i+1}, grad L_i(theta_i)>.

The rate's gradient uses the adjoint from *before* the Hessian of its own step is applied. For one rate shared by all
steps, sum over them. The objective F is the *mean* over tasks.

References
----------
Finn, Abbeel and Levine 2017, arXiv 1703.03400, eq. (1); Li et al. 2017, Meta-SGD, arXiv 1707.09835, for learned
rates; Antoniou, Edwards and Storkey 2019, arXiv 1810.09502, section 4, for one rate per step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.contracts.meta.maml import pull_back
from refgrad.contracts.tools.assemble import total, vector
from refgrad.contracts.tools.losses import Loss
from refgrad.contracts.tools.terms import measured, settled
from refgrad.typing import Array, Scalar

__all__ = ["adjoints", "per_step_gradient", "products", "rate_gradients", "trajectory"]


@measured
def per_step_gradient(loss: Loss, theta: Array, tasks: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """The gradient of the mean over tasks of ``Q(theta_k)`` by the initial `theta`, shape (d,).

    Parameters
    ----------
    loss : Loss
    theta : array, shape (d,)
    tasks : list of (batches, query)
        `batches` is a list of k batches, the i-th for inner step i.
    rates : array, shape (k,), or list of k scalars
    """
    return total([adjoints(loss, theta, task, rates)[0] for task in tasks]) / len(tasks)


Choose = Callable[[list[Array]], list[Array]]


def products(loss: Loss, theta: Array, tasks: Sequence[Any], rates: Sequence[Scalar], choose: Choose) -> Array:
    """The mean over tasks of ``<v, grad L_i(theta_i)>`` for every step, shape (k,), the v chosen of k + 1 adjoints."""
    answers = []
    for task in tasks:
        path = trajectory(loss, theta, task[0], rates)
        steps = [loss.grad(point, batch) for point, batch in zip(path[:-1], task[0], strict=True)]
        pairs = zip(choose(adjoints(loss, theta, task, rates)), steps, strict=True)
        answers.append(vector([v @ g for v, g in pairs]))
    return total(answers) / len(tasks)


@measured
def rate_gradients(loss: Loss, theta: Array, tasks: Sequence[Any], rates: Sequence[Scalar]) -> Array:
    """The gradient of the mean over tasks of ``Q(theta_k)`` by the `rates`, shape (k,) with k at least 1."""
    return -products(loss, theta, tasks, rates, lambda v: v[1:])


def adjoints(loss: Loss, theta: Array, task: Any, rates: Sequence[Scalar]) -> list[Array]:
    """``[v_0, ..., v_k]`` of one task: the gradients of ``Q(theta_k)`` by each iterate."""
    batches, query = task
    path = trajectory(loss, theta, batches, rates)
    found = [loss.grad(path[-1], query)]
    for point, batch, rate in reversed(list(zip(path[:-1], batches, rates, strict=True))):
        found.append(pull_back(loss, found[-1], [point], batch, rate))
    return found[::-1]


def trajectory(loss: Loss, theta: Array, batches: Sequence[Any], rates: Sequence[Scalar]) -> list[Array]:
    """``[theta_0, ..., theta_k]``."""
    path = [theta]
    for batch, rate in zip(batches, rates, strict=True):
        path.append(settled(path[-1] - rate * loss.grad(path[-1], batch)))
    return path
