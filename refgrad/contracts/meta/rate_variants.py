"""What is computed in place of the gradient of the inner rates, exactly.

Every answer takes the arguments of `rate_gradients`, ``(loss, theta, tasks, rates)``. In the formulas ``v_i`` is the
adjoint of ``theta_i`` and ``g_i = grad L_i(theta_i)``, as in `per_step`. The gradient of the last rate needs no
Hessian, so that with a single inner step the first of these formulas is right.

References
----------
Li et al. 2017, Meta-SGD, arXiv 1707.09835; Antoniou, Edwards and Storkey 2019, arXiv 1810.09502.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.contracts.meta.per_step import products
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.losses import Loss
from refgrad.contracts.tools.terms import Measured, measured
from refgrad.typing import Array, Scalar

__all__ = ["RATE_VARIANTS"]


def along(choose: Callable[[list[Array]], list[Array]], sign: int = -1) -> Measured:
    """``sign <v, g_i>`` for every step, the vectors v chosen among the k + 1 adjoints of a task."""

    def gradients(loss: Loss, theta: Array, tasks: Sequence[Any], rates: Sequence[Scalar]) -> Array:
        return sign * products(loss, theta, tasks, rates, choose)

    return measured(gradients)


RATE_VARIANTS: tuple[Variant, ...] = (
    Variant("first-order", "-<grad Q(theta_k), g_i>",
            "the gradient without any Hessian: right for the last rate alone",
            ("learnables/learn2learn, MetaSGD with first_order=True", "learnables/learn2learn, issue 287"),
            along(lambda v: v[-1:] * (len(v) - 1))),
    Variant("adjoint-after-its-own-step", "-<v_i, g_i>",
            "the gradient with the adjoint taken after the Hessian of the rate's own step has been applied to it", (),
            along(lambda v: v[:-1])),
    Variant("sign-flipped", "<v_{i+1}, g_i>", "the negative of the gradient: the minus sign of the inner step is lost",
            (), along(lambda v: v[1:], 1)),
)  # fmt: skip
