"""What is computed in place of the penalty of elastic weight consolidation, or of its gradient, exactly.

Every answer takes the contract's arguments ``(theta, theta_star, fisher, lam)``; in the formulas ``d = theta -
theta_star`` and P is the number of parameters. Many are multiples of the penalty: a lambda tuned for one is wrong by
that factor for another.

References
----------
Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3); Schwarz et al. 2018, arXiv 1805.06370, eq. (8).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from refgrad.contracts.continual.ewc import Penalty
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.axes import Choice
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array, Scalar

__all__ = ["products", "variants"]


def choice(name: str, meaning: str, *references: str, declare: str = "", **changes: Any) -> Choice:
    """A `Choice` whose formula is that of its recipe."""
    return Choice(name, "", meaning, changes, references, declare)


CHOICES = (
    choice(
        "missing-half",
        "the penalty without its factor 1/2: lambda counts twice",
        "ContinualAI/avalanche, training/plugins/ewc.py",
        "moskomule/ewc.pytorch, utils.py",
        "aimagelab/mammoth, models/ewc_on.py",
        divisor=1,
        declare="half=false",
    ),
    choice("with-half", "the penalty with its factor 1/2", divisor=2, declare="half=true"),
    choice(
        "mean-over-parameters",
        "the mean over the P parameters where the sum is asked for",
        reduction="mean",
        declare="reduction=mean",
    ),
    choice("sum-over-parameters", "the sum over the parameters", reduction="sum", declare="reduction=sum"),
    choice(
        "halved",
        "half the penalty: its factor 1/2 is taken twice, or it is that of online EWC, gamma lam/2 sum_i F_i d_i^2, "
        "with a decay gamma of 1/2",
        "Schwarz et al. 2018, arXiv 1805.06370, eq. (8)",
        "GMvandeVen/continual-learning, issue 9",
        divisor=4,
    ),
    choice(
        "uniform-importance",
        "the squared distance from the old parameters: every importance is 1",
        "the L2 penalty that Kirkpatrick et al. 2017, arXiv 1612.00796, figure 2, compare with",
        importance="one",
    ),
    choice("root-of-importance", "the roots of the importances in their place", importance="root"),
    choice("squared-importance", "the square of F d: the importances are inside the square", importance="square"),
    choice("importance-by-largest", "importances divided by the largest one", importance="max"),
    choice("importance-by-sum", "importances divided by their sum", importance="total"),
    choice(
        "mean-importance",
        "one importance for all parameters, the mean of theirs",
        "kuc2477/pytorch-ewc, issue 2",
        importance="mean",
    ),
    choice("centred-at-zero", "the distance from zero: weight decay by importance", centre="zero"),
    choice("centred-at-mean", "the distance from the mean of the old parameters", centre="mean"),
    choice("absolute-distance", "absolute distances where squares are asked for", distance="absolute"),
)
OF_GRADIENT = (
    *CHOICES,
    choice("sign-flipped", "the negative gradient: what is added to the parameters, not what is subtracted", sign=-1),
    choice(
        "not-differentiated", "the terms of the penalty before they are added up, not its gradient", distance="terms"
    ),
)
ZERO = "the old parameters are compared with themselves, or the importances were never stored"


def zero(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Array:
    """Zero, a number."""
    return 0 * theta[0]


def zeros(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Array:
    """Zeros, a vector."""
    return 0 * theta


def variants(own: Penalty) -> tuple[Variant, ...]:
    """What deviates from `own` in one choice."""
    none = measured(zeros if own.gradient else zero)
    found = axes.singles(_formula, own, OF_GRADIENT if own.gradient else CHOICES)
    references = ("ContinualAI/avalanche, issues 728 and 1099",)
    return (*(_stated(v) for v in found), Variant("zero", "0", ZERO, references, none))


def products(own: Penalty) -> tuple[Variant, ...]:
    """What deviates from `own` in two choices."""
    return tuple(_stated(v) for v in axes.products(_formula, own, OF_GRADIENT if own.gradient else CHOICES))


def _formula(recipe: Penalty) -> Penalty:
    return recipe


def _stated(variant: Variant) -> Variant:
    return replace(variant, formula=str(variant.answer.plain))  # type: ignore[attr-defined]
