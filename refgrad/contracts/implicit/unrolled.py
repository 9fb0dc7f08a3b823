"""The derivative of an outer loss through steps of gradient descent on an inner one, and what is computed in its place.

    w_{t+1} = w_t - lr d inner / dw (w_t, phi),     F(phi) = outer(w_T(phi), phi),

with the start w_0 held fixed. Backwards, from ``a = g`` and ``h = d`` at w_T, for t = T-1 .. 0,

    h = h - lr B_t^T a,     a = (I - lr H_t) a,     dF / dphi = h.

References
----------
Maclaurin, Duvenaud and Adams 2015, arXiv 1502.03492, algorithm 2; Shaban, Cheng, Hatch and Boots 2019, Truncated
back-propagation for bilevel optimization, arXiv 1810.10667.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from refgrad.contracts.implicit.adjoints import solution
from refgrad.contracts.implicit.losses import Inner, Outer
from refgrad.contracts.implicit.recipe import Ratio, across, times
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.axes import Choice
from refgrad.contracts.tools.terms import settled
from refgrad.typing import Array

__all__ = ["CHOICES", "UNROLLED", "UNROLLED_VARIANTS", "Unrolled", "unrolled", "unrolled_products"]


@dataclass(frozen=True)
class Unrolled:
    """One formula.

    Attributes
    ----------
    extra : int
        What is added to the number of steps.
    rate : pair of ints
        By which lr is multiplied, on the way there and back.
    back : pair of ints
        By which lr is multiplied on the way back alone.
    factor : int
        The power of lr that stands before B.
    carried : str
        What carries a back over a step: ``I - lr H``, nothing (``identity``), or ``I - H`` (``without-lr``).
    hessian, mixed : str
        Where H and B of a step are taken: at its ``own`` w_t, the ``next`` one, the ``start`` or the ``end``.
    order : str
        In which H and B are applied: ``last`` step first, or by mistake ``first``.
    window : str
        Which steps B is summed over: ``all``, the ``last``, the last ``two``, the ``first``. Over the steps left out
        a is not carried.
    outer : str
        Of which w the outer loss is taken: the ``last``, ``every`` (summed from w_1 on), their ``mean``; with
        ``start``, g and d at w_0.
    inverse : str
        ``unrolled``; ``exact``: ``d - B^T H^{-1} g`` at w_T.
    transposed, direct, indirect, scale, leak
        As in `refgrad.contracts.implicit.recipe.Recipe`.
    """

    extra: int = 0
    rate: Ratio = (1, 1)
    back: Ratio = (1, 1)
    factor: int = 1
    carried: str = "I - lr H"
    hessian: str = "own"
    mixed: str = "own"
    order: str = "last"
    window: str = "all"
    outer: str = "last"
    inverse: str = "unrolled"
    transposed: bool = False
    direct: int = 1
    indirect: Ratio = (1, 1)
    scale: Ratio = (1, 1)
    leak: int = 0


def unrolled(recipe: Unrolled) -> Callable[..., Array]:
    """The formula as a function ``(inner, outer, w0, phi, lr, steps)``, with a value of shape (m,)."""

    def value(inner: Inner, outer: Outer, w0: Array, phi: Array, lr: Any, steps: int) -> Array:
        if recipe.scale[0] == 0:
            return 0 * phi
        lr = times(lr, recipe.rate)
        path = [w0]
        for _ in range(steps + recipe.extra):
            path.append(settled(path[-1] - lr * inner.grad(path[-1], phi)))
        ends = range(1, len(path)) if recipe.outer in ("every", "mean") and len(path) > 1 else (len(path) - 1,)
        total = 0 * phi
        for end in ends:
            total = total + backwards(recipe, inner, outer, path[: end + 1], phi, lr)
        if recipe.outer == "mean":
            total = total / len(ends)
        total = times(total, recipe.scale)
        return total + recipe.leak * inner.slope_phi(path[-1], phi) if recipe.leak else total

    return value


def backwards(recipe: Unrolled, inner: Inner, outer: Outer, path: list[Array], phi: Array, lr: Any) -> Array:
    """The derivative by phi of the outer loss at the end of one path, shape (m,)."""
    at = path[0] if recipe.outer == "start" else path[-1]
    a = outer.grad_w(at, phi)
    total = recipe.direct * outer.grad_phi(at, phi) if recipe.direct else 0 * phi
    if not recipe.indirect[0]:
        return total
    if recipe.inverse == "exact":
        u = solution(inner.hessian(path[-1], phi), a)
        return total - times(across(inner.cross(path[-1], phi), u, recipe.transposed), recipe.indirect)
    steps, lr = len(path) - 1, times(lr, recipe.back)
    order = range(steps) if recipe.order == "first" else range(steps - 1, -1, -1)
    inside = {"all": range(steps), "last": range(max(0, steps - 1), steps), "two": range(max(0, steps - 2), steps),
              "first": range(min(1, steps))}[recipe.window]  # fmt: skip
    for t in order:
        if t not in inside:
            continue
        found = sideways(recipe, inner, place(recipe.mixed, path, t), phi, a)
        for _ in range(recipe.factor):
            found = lr * found
        total = total - times(found, recipe.indirect)
        if recipe.carried != "identity":
            moved = inner.hvp(place(recipe.hessian, path, t), phi, a)
            a = settled(a - (moved if recipe.carried == "without-lr" else lr * moved))
    return total


def sideways(recipe: Unrolled, inner: Inner, w: Array, phi: Array, a: Array) -> Array:
    """``B^T a``, or ``B a`` by mistake."""
    return across(inner.cross(w, phi), a, True) if recipe.transposed else inner.mixed(w, phi, a)


def place(where: str, path: list[Array], t: int) -> Array:
    """The point of a path at which the derivatives of step t are taken."""
    return path[{"own": t, "next": t + 1, "start": 0, "end": -1}[where]]


UNROLLED = Unrolled()
SHABAN = "Shaban, Cheng, Hatch and Boots 2019, arXiv 1810.10667"

CHOICES = (
    Choice("one-step-fewer", "T - 1 steps", "the derivative through one step fewer", {"extra": -1},
           ("google/jaxopt, unrolling that stops at a tolerance",)),
    Choice("one-step-more", "T + 1 steps", "the derivative through one step more", {"extra": 1}),
    Choice("direct-only", "d at w_T", "the direct term alone: the steps are cut off the graph", {"indirect": (0, 1)},
           ("bigaidream-projects/drmad, issue 1",)),
    Choice("missing-direct", "without d", "the derivative through the steps alone, without the direct term",
           {"direct": 0}, ("lucfra/FAR-HO, issue 6",)),
    Choice("zero", "0", "the graph is cut between phi and the outer loss", {"scale": (0, 1)}),
    Choice("sign-flipped", "-dF/dphi", "the negative of the derivative", {"scale": (-1, 1)}),
    Choice("direct-sign-flipped", "-d + ...", "the indirect term minus the direct one", {"direct": -1}),
    Choice("indirect-sign-flipped", "d + lr sum_t B_t^T a_t", "the direct term minus the indirect one",
           {"indirect": (-1, 1)}),
    Choice("doubled", "2 dF/dphi", "twice the derivative: it is accumulated on one already there", {"scale": (2, 1)}),
    Choice("halved", "dF/dphi / 2", "half the derivative", {"scale": (1, 2)}),
    Choice("inner-loss-leak", "dF/dphi + d inner / dphi",
           "the derivative plus that of the inner loss by phi at w_T, left there by the inner steps", {"leak": 1}),
    Choice("mixed-partial-not-transposed", "B_t a_t", "the cross derivative times a without transposition",
           {"transposed": True}),
    Choice("first-order", "d - lr sum_t B_t^T g",
           "the sum over the steps with the outer gradient itself: it is not carried back over them",
           {"carried": "identity"}, ("FOMAML's approximation, for hyperparameters",)),
    Choice("last-step-only", "d - lr B_{T-1}^T g", "the derivative through the last step alone", {"window": "last"},
           (f"{SHABAN}, K = 1", "Luketina, Berglund, Greff and Raiko 2016, arXiv 1511.06727")),
    Choice("last-two-steps-only", "t = T-1, T-2", "the derivative through the last two steps alone",
           {"window": "two"}, (f"{SHABAN}, K = 2",)),
    Choice("first-step-only", "d - lr B_0^T g", "the derivative through the first step alone", {"window": "first"}),
    Choice("implicit-at-the-end", "d - B^T H^{-1} g at w_T",
           "the implicit function theorem at w_T, as if that were the solution", {"inverse": "exact"},
           ("google/jaxopt, implicit_diff=True",)),
    Choice("neumann-at-the-end", "H_t = H(w_T), B_t = B(w_T)",
           "a Neumann series at w_T: every step's derivatives are taken where the steps end",
           {"hessian": "end", "mixed": "end"}, ("Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, theorem 2",)),
    Choice("neumann-at-the-start", "H_t = H(w_0), B_t = B(w_0)",
           "a Neumann series at w_0: every step's derivatives are taken where the steps begin",
           {"hessian": "start", "mixed": "start"}),
    Choice("hessians-at-the-end", "H_t = H(w_T)", "the Hessian at w_T for that of every step", {"hessian": "end"}),
    Choice("hessians-one-step-on", "H_t = H(w_{t+1})", "the Hessian after a step for the one before it",
           {"hessian": "next"}),
    Choice("derivatives-one-step-on", "H_t = H(w_{t+1}), B_t = B(w_{t+1})",
           "both derivatives after a step for those before it: the weights were changed in place",
           {"hessian": "next", "mixed": "next"}),
    Choice("steps-in-forward-order", "t = 0 .. T-1", "the steps are gone back over in the order they were taken",
           {"order": "first"}),
    Choice("lr-missing", "B_t^T a_t without lr", "the sum over the steps without its factor lr", {"factor": 0}),
    Choice("lr-twice", "lr^2 B_t^T a_t", "the sum over the steps with its factor lr twice", {"factor": 2}),
    Choice("lr-missing-on-the-way-back", "a = (I - H_t) a", "the Hessian without lr on the way back",
           {"carried": "without-lr"}),
    Choice("ascent", "w_{t+1} = w_t + lr d inner / dw", "the derivative through steps of gradient ascent",
           {"rate": (-1, 1)}),
    Choice("lr-doubled", "2 lr", "the derivative through steps of twice the length", {"rate": (2, 1)}),
    Choice("lr-halved", "lr / 2", "the derivative through steps of half the length", {"rate": (1, 2)}),
    Choice("sign-on-the-way-back", "-lr on the way back", "the steps are gone back over with lr of the other sign",
           {"back": (-1, 1)}),
    Choice("outer-loss-at-every-step", "sum_t outer(w_t)", "the outer loss summed over all steps", {"outer": "every"}),
    Choice("outer-loss-averaged", "mean_t outer(w_t)", "the outer loss averaged over all steps", {"outer": "mean"}),
    Choice("outer-loss-at-the-start", "g and d at w_0", "the outer gradient at the start, carried back over the steps",
           {"outer": "start"}),
)  # fmt: skip

UNROLLED_VARIANTS: tuple[Variant, ...] = axes.singles(unrolled, UNROLLED, CHOICES)


def unrolled_products() -> tuple[Variant, ...]:
    """The formulas that deviate in two ways."""
    return axes.products(unrolled, UNROLLED, CHOICES)
