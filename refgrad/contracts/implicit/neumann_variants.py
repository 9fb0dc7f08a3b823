"""What is computed in place of a hypergradient by a Neumann series whose step and number of terms are given.

The points of the grid of `Recipe` that lie around ``lr sum_{j=0..terms} (I - lr H)^j``; where `terms` counts the terms
and not the last power, the base has one fewer.
"""

from __future__ import annotations

from refgrad.contracts.implicit.bilevel_variants import ANY_INVERSE, AUXILEARN, BETTY, HYPERTORCH, LORRAINE, TORCHOPT
from refgrad.contracts.implicit.recipe import Recipe
from refgrad.contracts.tools.axes import Choice

__all__ = ["SERIES", "neumann_choices"]

SERIES = Recipe(inverse="neumann")


def neumann_choices(base: Recipe) -> tuple[Choice, ...]:
    """The deviations from `base`, which is `SERIES`, or the same with one term fewer."""
    counts = "count=terms" if base.extra == 0 else "count=powers"
    fewer, more = (counts, "") if base.extra == 0 else ("", counts)
    return (
        Choice("neumann-one-term-fewer", "lr sum_{j=0..J-1} (I - lr H)^j", "a Neumann series with one term fewer",
               {"extra": base.extra - 1},
               ("prolearner/hypertorch, stoch_AID", "metaopt/torchopt, torchopt/linalg/ns.py, ns_inv"), fewer),
        Choice("neumann-one-term-more", "lr sum_{j=0..J+1} (I - lr H)^j", "a Neumann series with one term more",
               {"extra": base.extra + 1}, (), more),
        Choice("neumann-without-lr", "sum_{j=0..J} (I - lr H)^j",
               "a Neumann series without its factor lr: 1/lr times too large", {"factor": 0}),
        Choice("neumann-without-lr-or-direct", "-B^T sum_{j=0..J} (I - lr H)^j g",
               "a Neumann series without its factor lr, and no direct term", {"factor": 0, "direct": 0}, (AUXILEARN,)),
        Choice("neumann-lr-twice", "lr^2 sum_{j=0..J} (I - lr H)^j", "a Neumann series with its factor lr twice",
               {"factor": 2}),
        Choice("neumann-lr-one", "sum_{j=0..J} (I - H)^j", "a Neumann series with a step of 1, whatever lr is",
               {"lr": (1, 1)}, (f"{TORCHOPT}, solve_inv(ns=True)", f"{BETTY}/neumann.py, neumann_alpha=1")),
        Choice("neumann-lr-doubled", "2 lr for lr", "a Neumann series with twice the step", {"rate": (2, 1)}),
        Choice("neumann-lr-halved", "lr/2 for lr", "a Neumann series with half the step", {"rate": (1, 2)}),
        Choice("neumann-lr-negated", "-lr for lr", "a Neumann series with the step of the other sign",
               {"rate": (-1, 1)}),
        Choice("neumann-without-first-term", "lr sum_{j=1..J} (I - lr H)^j", "a Neumann series without its term g",
               {"summed": "later"}),
        Choice("neumann-terms-subtracted", "lr (I - sum_{j=1..J} (I - lr H)^j)",
               "a Neumann series whose later terms are subtracted", {"summed": "subtracted"},
               (f"{LORRAINE}, algorithm 3, read with p -= v", "lorraine2/implicit-hyper-opt, issue 2")),
        Choice("neumann-last-power-only", "lr (I - lr H)^J", "the last term of a Neumann series alone",
               {"summed": "last"}),
        Choice("neumann-averaged", "lr mean_{j=0..J} (I - lr H)^j", "the mean of the terms, not their sum",
               {"summed": "mean"}),
        Choice("identity", "I", "the identity in place of the series", {"inverse": "identity"}),
        Choice("one-step-unroll", "lr I", "the first term of the series alone", {"inverse": "step"},
               ("Liu, Simonyan and Yang 2019, arXiv 1806.09055, eq. (7)",)),
        Choice("hessian-not-inverted", "H", "the Hessian in place of the series", {"inverse": "hessian"}),
        Choice("hypergradient", "H^{-1}", "the inverse Hessian itself, not the series", {"inverse": "exact"}),
        Choice("cg-one-iteration", "x_1", "one iteration of conjugate gradients in place of the series",
               {"inverse": "cg", "iterations": 1}, (f"{HYPERTORCH}, K=1",)),
        Choice("rank-one-hessian", "grad grad^T for H",
               "the outer product of the inner gradient in place of the Hessian, which is zero where the inner problem "
               "is solved: nothing is subtracted, and the sum only grows", {"hessian": "rank-one"},
               ("lorraine2/implicit-hyper-opt, rnn/train.py",)),
        *ANY_INVERSE,
    )  # fmt: skip
