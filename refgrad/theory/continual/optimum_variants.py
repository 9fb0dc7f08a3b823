"""What is reached in place of the optima of elastic weight consolidation on quadratic tasks, exactly.

`OPTIMUM_VARIANTS` take the arguments of `ewc_optimum`, ``(task, anchor, fisher, lam)``; `ONLINE_VARIANTS` those of
`decayed_joint`, ``(tasks, gamma)``, whose truth is the last of ``online_modes(tasks, gamma, gamma)``. In the formulas
``d = theta - anchor``. The magnitude of an optimum counts its centre and how far it moved away from it.

References
----------
Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3); Schwarz et al. 2018, arXiv 1805.06370, eq. (8); Huszar 2018, arXiv
1712.03847.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refgrad.contracts.tools.answer import Answer, Variant
from refgrad.theory.continual.laplace import diagonal, ewc_optimum, online_modes, per_task_modes
from refgrad.theory.continual.quadratic_tasks import QuadraticTask
from refgrad.typing import Array, Scalar

__all__ = ["ONLINE_VARIANTS", "OPTIMUM_VARIANTS"]

Optimum = Callable[[QuadraticTask, Array, Array, Scalar], Array]
Modes = Callable[[Sequence[QuadraticTask], Scalar], list[Array]]


def displacement(theta: Array, centre: Array) -> Answer:
    """``theta`` as the sum of a centre and a move."""
    return Answer(theta, abs(centre) + abs(theta - centre))


def optimum(formula: Optimum) -> Callable[..., Answer]:
    """An answer that has moved away from the anchor."""
    return lambda task, anchor, fisher, lam: displacement(formula(task, anchor, fisher, lam), anchor)


def last(modes: Modes) -> Callable[..., Answer]:
    """The last of several optima, which has moved away from the first task's."""
    return lambda tasks, gamma: displacement(modes(tasks, gamma)[-1], tasks[0].c)


KIRKPATRICK = "Kirkpatrick et al. 2017, arXiv 1612.00796"

OPTIMUM_VARIANTS: tuple[Variant, ...] = (
    Variant("missing-half", "argmin L + lam d^T F d",
            "the optimum for a penalty without its factor 1/2: lambda counts twice",
            ("ContinualAI/avalanche, training/plugins/ewc.py", "moskomule/ewc.pytorch, utils.py"),
            optimum(lambda task, anchor, fisher, lam: ewc_optimum(task, anchor, fisher, 2 * lam))),
    Variant("diagonal", "argmin L + lam/2 sum_i F_ii d_i^2",
            "the optimum with the diagonal of the Fisher matrix in its place", (f"{KIRKPATRICK}, eq. (3)",),
            optimum(lambda task, anchor, fisher, lam: ewc_optimum(task, anchor, diagonal(fisher), lam))),
    Variant("centred-at-zero", "argmin L + lam/2 theta^T F theta",
            "the optimum for a penalty centred at zero, a weighted decay: the old parameters were not stored", (),
            optimum(lambda task, anchor, fisher, lam: ewc_optimum(task, 0 * anchor, fisher, lam))),
    Variant("anchor-follows", "argmin L",
            "the new task's own optimum: the centre is rebuilt while training on it, until the old task is forgotten",
            ("moskomule/ewc.pytorch, whose demo rebuilds the penalty in every epoch",),
            optimum(lambda task, anchor, fisher, lam: task.c)),
)  # fmt: skip

ONLINE_VARIANTS: tuple[Variant, ...] = (
    Variant("decay-in-accumulation-only", "F*_t = gamma F*_{t-1} + H_t, penalty 1/2 d^T F* d",
            "online EWC whose importances decay where they are added up, and not in the penalty",
            ("ContinualAI/avalanche, training/plugins/ewc.py", "aimagelab/mammoth, models/ewc_on.py"),
            last(lambda tasks, gamma: online_modes(tasks, gamma, 1))),
    Variant("decay-in-penalty-only", "F*_t = F*_{t-1} + H_t, penalty gamma/2 d^T F* d",
            "online EWC whose importances decay in the penalty, and not where they are added up", (),
            last(lambda tasks, gamma: online_modes(tasks, 1, gamma))),
    Variant("no-decay", "F*_t = F*_{t-1} + H_t, penalty 1/2 d^T F* d",
            "joint training on all tasks alike: nothing decays", ("Huszar 2018, arXiv 1712.03847",),
            last(lambda tasks, gamma: online_modes(tasks, 1, 1))),
    Variant("one-penalty-per-task", "argmin L_T + sum_t 1/2 |theta - theta_t|^2 in the norm of H_t",
            "EWC with a penalty for each earlier task, centred at the optimum found after it: earlier tasks count "
            "more than once, and nothing decays", (KIRKPATRICK, "ContinualAI/avalanche, mode 'separate'"),
            last(lambda tasks, gamma: per_task_modes(tasks))),
)  # fmt: skip
