"""What is computed in place of the penalty of elastic weight consolidation, exactly.

Every answer takes the contract's arguments ``(theta, theta_star, fisher, lam)``; in the formulas ``d = theta -
theta_star``. All but one are multiples of the penalty: a lambda tuned for one is wrong by that factor for another.

References
----------
Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3); Schwarz et al. 2018, arXiv 1805.06370, eq. (8).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from refgrad.contracts.continual.ewc import ewc_penalty
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.typing import Array, Scalar

__all__ = ["PENALTY_VARIANTS"]

Penalty = Callable[[Array, Array, Array, Scalar], Answer]


def times(factor: Callable[[int], Fraction]) -> Penalty:
    """The penalty times a function of the number of parameters."""

    def penalty(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Answer:
        answer, c = ewc_penalty(theta, theta_star, fisher, lam), factor(theta.shape[0])
        return Answer(c * answer.value, c * answer.magnitude)

    return penalty


def over_parameters(p: int) -> Fraction:
    """``1 / P``, which for one parameter changes nothing."""
    if p == 1:
        raise NotApplicable("the mean over one parameter is the sum")
    return Fraction(1, p)


def uniform(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Answer:
    """``lam/2 sum_i d_i^2``."""
    return ewc_penalty(theta, theta_star, 0 * fisher + 1, lam)


PENALTY_VARIANTS: tuple[Variant, ...] = (
    Variant(
        "missing-half",
        "lam sum_i F_i d_i^2",
        "the penalty without its factor 1/2: lambda counts twice",
        (
            "ContinualAI/avalanche, training/plugins/ewc.py",
            "moskomule/ewc.pytorch, utils.py",
            "aimagelab/mammoth, models/ewc_on.py",
        ),
        times(lambda p: Fraction(2)),
    ),
    Variant(
        "mean-over-parameters",
        "lam/(2 P) sum_i F_i d_i^2",
        "the mean over the P parameters where the sum is asked for",
        (),
        times(over_parameters),
    ),
    Variant(
        "halved",
        "lam/4 sum_i F_i d_i^2",
        "half the penalty: its factor 1/2 is taken twice, or it is that of online EWC, gamma lam/2 sum_i F_i d_i^2, "
        "with a decay gamma of 1/2",
        ("Schwarz et al. 2018, arXiv 1805.06370, eq. (8)", "GMvandeVen/continual-learning, issue 9"),
        times(lambda p: Fraction(1, 2)),
    ),
    Variant(
        "uniform-importance",
        "lam/2 sum_i d_i^2",
        "the squared distance from the old parameters: every importance is 1",
        ("the L2 penalty that Kirkpatrick et al. 2017, arXiv 1612.00796, figure 2, compare with",),
        uniform,
    ),
    Variant(
        "zero",
        "0",
        "zero: the old parameters are compared with themselves, or the importances were never stored",
        ("ContinualAI/avalanche, issues 728 and 1099",),
        times(lambda p: Fraction(0)),
    ),
)
