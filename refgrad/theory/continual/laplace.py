"""Elastic weight consolidation of quadratic tasks, in closed form: when it equals joint training, and by how much not.

Laplace's approximation to the posterior of old tasks is exact for quadratic ones. With *sum* losses, the full Fisher
matrix and the latest optimum as centre, the recursion ``penalty + new task`` loses nothing; every other choice
(a diagonal, a penalty for each task, a decay in one place only, a centre that moves while training) has an error that
is known too. All functions take `QuadraticTask` objects; Fisher matrices are full, shape (P, P).

References
----------
Kirkpatrick et al. 2017, Overcoming catastrophic forgetting in neural networks, arXiv 1612.00796, eq. (3).
Huszar 2018, Note on the quadratic penalties in elastic weight consolidation, PNAS 115, arXiv 1712.03847.
Schwarz et al. 2018, Progress and Compress, arXiv 1805.06370, section 4, eq. (8).
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.theory.continual.quadratic_tasks import QuadraticTask, minimiser
from refgrad.typing import Array, Scalar

__all__ = [
    "decayed_joint", "diagonal", "diagonal_error", "ewc_optimum", "ewc_optimum_by_lam", "moving_anchor",
    "online_modes", "per_task_bias", "per_task_modes", "recentred_modes",
]  # fmt: skip


def ewc_optimum(task: QuadraticTask, anchor: Array, fisher: Array, lam: Scalar) -> Array:
    """The stationary point of ``L(theta) + lam/2 (theta - anchor)^T F (theta - anchor)``, shape (P,).

    ``(H + lam F)^{-1} (H c + lam F anchor)``, the minimiser if ``H + lam F`` is positive definite. With `anchor` the
    optimum of an old task and F its Hessian, both losses sums over examples, lam = 1 gives the joint optimum; lam = 0
    gives the new task's own.

    Parameters
    ----------
    task : QuadraticTask
        The new task, H and c.
    anchor : array, shape (P,)
    fisher : array, shape (P, P)
        F.
    lam : scalar
    """
    return minimiser(task, QuadraticTask(lam * fisher, anchor))


def ewc_optimum_by_lam(task: QuadraticTask, anchor: Array, fisher: Array, lam: Scalar) -> Array:
    """The derivative of `ewc_optimum` by lam, ``(H + lam F)^{-1} F (anchor - theta(lam))``, shape (P,).

    Parameters
    ----------
    task, anchor, fisher, lam : as in `ewc_optimum`
    """
    theta = ewc_optimum(task, anchor, fisher, lam)
    return checked_solve(task.H + lam * fisher, fisher @ (anchor - theta))


def diagonal(fisher: Array) -> Array:
    """The matrix with everything off its diagonal set to zero, shape (P, P)."""
    return fisher * identity(fisher)


def diagonal_error(task: QuadraticTask, anchor: Array, fisher: Array, lam: Scalar) -> Array:
    """How far the optimum with the diagonal D of F lies from that with F itself, shape (P,).

    ``theta_D - theta_F = (H + lam D)^{-1} lam (D - F) (anchor - theta_F)``: what stands off the diagonal, applied to
    how far the new task moved.

    Parameters
    ----------
    task, anchor, fisher, lam : as in `ewc_optimum`
    """
    D, theta = diagonal(fisher), ewc_optimum(task, anchor, fisher, lam)
    return checked_solve(task.H + lam * D, lam * (D - fisher) @ (anchor - theta))


def recentred_modes(tasks: Sequence[QuadraticTask]) -> list[Array]:
    """The optimum after each task with *one* penalty: centre the latest optimum, precision the sum of all Hessians.

    The last is the joint optimum of all tasks [Huszar 2018]. A prior is a first task.

    Parameters
    ----------
    tasks : list of QuadraticTask
        In the order in which they are learnt.
    """
    modes, precision = [tasks[0].c], tasks[0].H
    for task in tasks[1:]:
        modes.append(ewc_optimum(task, modes[-1], precision, 1))
        precision = precision + task.H
    return modes


def per_task_modes(tasks: Sequence[QuadraticTask]) -> list[Array]:
    """The optimum after each task with one penalty *for each* earlier task, centred at the optimum found after it.

    Those centres are not the tasks' own optima but those of the penalised losses [Kirkpatrick 2017], which remember
    the tasks before: earlier data count more than once, and from the third task on the result is not the joint one.

    Parameters
    ----------
    tasks : as in `recentred_modes`
    """
    modes: list[Array] = []
    for t, task in enumerate(tasks):
        penalties = [QuadraticTask(old.H, mode) for old, mode in zip(tasks[:t], modes, strict=True)]
        modes.append(minimiser(task, *penalties))
    return modes


def per_task_bias(tasks: Sequence[QuadraticTask]) -> Array:
    """The last of `per_task_modes` less the joint optimum, shape (P,).

    ``(sum_t H_t)^{-1} sum_{t<T} H_t (theta_t - c_t)`` with the modes theta_t. As ``theta_1 = c_1``, three tasks A, B, C
    leave one term, ``H_B (theta_AB - c_B)``.

    Parameters
    ----------
    tasks : as in `recentred_modes`
    """
    modes = per_task_modes(tasks)
    H, pull = tasks[-1].H, 0 * tasks[-1].c
    for task, mode in zip(tasks[:-1], modes[:-1], strict=True):
        H, pull = H + task.H, pull + task.H @ (mode - task.c)
    return checked_solve(H, pull)


def online_modes(tasks: Sequence[QuadraticTask], gamma: Scalar, lam: Scalar) -> list[Array]:
    """The optimum after each task of online EWC: one penalty, whose importances decay.

    The importances are ``F*_t = gamma F*_{t-1} + H_t``, the penalty on task t ``lam/2 |theta - theta_{t-1}|^2`` in the
    norm of ``F*_{t-1}``. At ``lam = gamma`` the decay stands in both places, as in Progress and Compress, and the last
    optimum is `decayed_joint`; at ``lam = 1`` it stands in the accumulation only.

    Parameters
    ----------
    tasks : as in `recentred_modes`
    gamma, lam : scalar
    """
    modes, fisher = [tasks[0].c], tasks[0].H
    for task in tasks[1:]:
        modes.append(ewc_optimum(task, modes[-1], fisher, lam))
        fisher = gamma * fisher + task.H
    return modes


def decayed_joint(tasks: Sequence[QuadraticTask], gamma: Scalar) -> Array:
    """The minimiser of ``sum_t gamma^(T - t) L_t``, shape (P,).

    Every later task multiplies the weight of an earlier one by gamma.

    Parameters
    ----------
    tasks : as in `recentred_modes`
    gamma : scalar
    """
    return minimiser(*(task.times(gamma ** (len(tasks) - t)) for t, task in enumerate(tasks, start=1)))


def moving_anchor(task: QuadraticTask, anchor: Array, fisher: Array, lam: Scalar, steps: int) -> Array:
    """The result of `ewc_optimum` taken `steps` times, each anchored at the one before it, shape (P,).

    ``c + M^steps (anchor - c)`` with ``M = (H + lam F)^{-1} lam F``: the proximal-point method. Its limit is c for
    every lam, however large, if H is positive definite and ``lam F`` positive semidefinite, for then all eigenvalues of
    M are at least 0 and less than 1: a penalty that is rebuilt while training on the new task forgets the old one.
    Along a vector that H sends to zero, M is the identity and the anchor stays.

    Parameters
    ----------
    task, anchor, fisher, lam : as in `ewc_optimum`
    steps : int
    """
    d = anchor - task.c
    for _ in range(steps):
        d = checked_solve(task.H + lam * fisher, lam * fisher @ d)
    return task.c + d
