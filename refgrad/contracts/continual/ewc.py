"""The penalty of elastic weight consolidation and its gradient, by hand, and what is computed in their place.

References
----------
Kirkpatrick et al. 2017, arXiv 1612.00796, eq. (3): ``lam / 2 sum_i F_i (theta_i - theta*_i)^2``, with the factor 1/2.
"""

from __future__ import annotations

from dataclasses import dataclass

from refgrad.backend import of
from refgrad.contracts.tools.terms import measured, settled
from refgrad.typing import Array, Scalar

__all__ = ["Penalty", "ewc_gradient", "ewc_penalty"]


@dataclass(frozen=True)
class Penalty:
    """A penalty or its gradient, as a function ``(theta, theta_star, fisher, lam)``; by default the penalty itself.

    Attributes
    ----------
    divisor : int
        What lambda is divided by in the penalty: 2, or 1 without the factor 1/2, or 4 where that is taken twice.
    reduction : str
        ``"sum"`` or ``"mean"`` over the parameters.
    importance : str
        ``"given"``: F; ``"root"``, ``"square"``: of F; ``"max"``, ``"total"``: F divided by its largest element or by
        its sum; ``"mean"``: the mean of F for every parameter; ``"one"``: 1.
    centre : str
        ``"old"``: theta*; ``"zero"``; ``"mean"``: the mean of theta* over its parameters.
    distance : str
        ``"square"`` or ``"absolute"``: of the penalty d^2 or |d|, of its gradient the derivative d of d^2 / 2, or |d|;
        of a gradient also ``"terms"``: d^2 / 2, which is the penalty before it is added up.
    gradient : bool
        Whether the derivative by theta is taken, of shape (p,) in place of ().
    sign : int
        1 or -1.
    """

    divisor: int = 2
    reduction: str = "sum"
    importance: str = "given"
    centre: str = "old"
    distance: str = "square"
    gradient: bool = False
    sign: int = 1

    def __call__(self, theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Array:
        d = settled(theta - self._centre(theta_star))
        divisor = self.divisor * (theta.shape[0] if self.reduction == "mean" else 1)
        term = abs(d) if self.distance == "absolute" else d if self.gradient and self.distance == "square" else d * d
        weighted = self._importance(fisher) * term
        if self.gradient:
            return self.sign * (lam * weighted if self.distance == "terms" else 2 * lam * weighted) / divisor
        return self.sign * lam * of(weighted).sum(weighted, (0,), False) / divisor

    def _centre(self, theta_star: Array) -> Array:
        if self.centre == "mean":
            return settled(of(theta_star).sum(theta_star, (0,), False) / theta_star.shape[0])
        return theta_star if self.centre == "old" else 0 * theta_star

    def _importance(self, fisher: Array) -> Array:
        xp = of(fisher)
        if self.importance == "mean":
            return 0 * fisher + xp.sum(fisher, (0,), False) / fisher.shape[0]
        if self.importance in ("max", "total"):
            return fisher / (xp.amax if self.importance == "max" else xp.sum)(fisher, (0,), False)
        if self.importance == "root":
            return xp.sqrt(fisher)
        return {"given": fisher, "square": fisher * fisher}.get(self.importance, 0 * fisher + 1)

    def __str__(self) -> str:
        d = {"old": "d_i", "zero": "theta_i"}.get(self.centre, "(theta_i - mean theta*)")
        term = (
            f"|{d}|" if self.distance == "absolute" else d if self.gradient and self.distance == "square" else f"{d}^2"
        )
        rates = {"root": "sqrt(F_i)", "square": "F_i^2", "max": "F_i / max F", "total": "F_i / sum F", "mean": "mean F"}
        importance = "" if self.importance == "one" else f"{rates.get(self.importance, 'F_i')} "
        below = "P" if self.reduction == "mean" else ""
        if self.gradient and self.distance != "terms":
            rate, below = {1: "2 lam", 2: "lam", 4: "lam/2"}[self.divisor], f"/{below}" if below else ""
            return f"{'-' if self.sign < 0 else ''}{rate}{below} {importance}{term}"
        over = f"({self.divisor} {below})" if below and self.divisor > 1 else below or str(self.divisor)
        factor = "lam" if over == "1" else f"lam/{over}"
        return f"{'-' if self.sign < 0 else ''}{factor} {'' if self.gradient else 'sum_i '}{importance}{term}"


@measured
def ewc_penalty(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Array:
    """``lam / 2 sum_i F_i (theta_i - theta*_i)^2``, shape (); all arrays of shape (p,)."""
    return Penalty()(theta, theta_star, fisher, lam)


@measured
def ewc_gradient(theta: Array, theta_star: Array, fisher: Array, lam: Scalar) -> Array:
    """The gradient of the penalty by theta, ``lam F (theta - theta*)``, shape (p,)."""
    return Penalty(gradient=True)(theta, theta_star, fisher, lam)
