"""What is computed in place of a hypergradient: each formula has been seen in public code or is a near miss.

All are points of the grid of `Recipe`: one choice in `CHOICES` is one deviation, and two on different axes a product.
Where the outer loss has no direct term, formulas that differ by it are one.

References
----------
Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590; Grazzi, Franceschi, Pontil and Salzo 2020, arXiv 2006.16218.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from refgrad.contracts.implicit.losses import Inner, Outer
from refgrad.contracts.implicit.recipe import Recipe, at_solution
from refgrad.contracts.tools import axes
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.contracts.tools.axes import Choice
from refgrad.typing import Array

__all__ = ["ANY_INVERSE", "CHOICES", "EXACT", "HYPERGRADIENT_VARIANTS", "hypergradient_products"]

EXACT = Recipe()

LORRAINE = "Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590"
LUKETINA = "Luketina, Berglund, Greff and Raiko 2016, arXiv 1511.06727"
AUXILEARN = "AvivNavon/AuxiLearn, auxilearn/implicit_diff.py"
BETTY = "leopard-ai/betty, betty/hypergradient"
HYPERTORCH = "prolearner/hypertorch, hypergrad/CG_torch.py"
MOSKOMULE = "moskomule/hypergrad, hypergrad/approximate_ihvp.py"
TORCHOPT = "metaopt/torchopt, torchopt/linear_solve"
OXFORD_PET = "AvivNavon/AuxiLearn, experiments/oxford_pet/trainer.py"

ANY_INVERSE = (
    Choice("indirect-sign-flipped", "d + B^T u",
           "the direct term minus the indirect one: the sign of the implicit function theorem is lost",
           {"indirect": (1, 1)}),
    Choice("sign-flipped", "-(d - B^T u)", "the negative of the hypergradient", {"scale": (-1, 1)}),
    Choice("direct-sign-flipped", "-d - B^T u", "the indirect term minus the direct one", {"direct": -1},
           ("lorraine2/implicit-hyper-opt, train_augment_net2.py, with a regulariser",)),
    Choice("missing-direct", "-B^T u",
           "the indirect term alone: the outer loss's own dependence on phi is left out", {"direct": 0},
           (AUXILEARN, "lucfra/FAR-HO, issue 6")),
    Choice("direct-only", "d",
           "the direct term alone: the inner solution is taken for a constant, or the gradient at it is that of the "
           "inner loss, which vanishes there", {"indirect": (0, 1)},
           (f"{HYPERTORCH}, for one weight or H a multiple of the identity", "metaopt/torchopt, issue 222")),
    Choice("zero", "0", "the graph is cut between phi and the outer loss", {"scale": (0, 1)},
           ("bigaidream-projects/drmad, issue 1",)),
    Choice("doubled", "2 (d - B^T u)", "twice the hypergradient: it is accumulated on one already there",
           {"scale": (2, 1)}, ("prolearner/hypertorch, set_grad",)),
    Choice("halved", "(d - B^T u) / 2", "half the hypergradient: the outer loss has a factor 1/2 too many",
           {"scale": (1, 2)}),
    Choice("indirect-doubled", "d - 2 B^T u",
           "the indirect term twice: one of H, B and g has a factor 2 that the others lack", {"indirect": (-2, 1)}),
    Choice("indirect-halved", "d - B^T u / 2",
           "half the indirect term: one of H, B and g has a factor 1/2 that the others lack", {"indirect": (-1, 2)}),
    Choice("inner-loss-leak", "d inner / dphi + d - B^T u",
           "the hypergradient plus the derivative of the inner loss by phi, left by the inner steps", {"leak": 1}),
    Choice("mixed-partial-not-transposed", "d - B u", "the cross derivative times u without transposition",
           {"transposed": True}),
    Choice("outer-hessian", "H of the outer loss",
           "the Hessian of the outer loss in place of that of the inner one", {"hessian": "outer"}),
    Choice("hessian-of-both-losses", "H of inner + outer", "the Hessian of both losses' sum", {"hessian": "both"}),
    Choice("penalty-missing-in-hessian", "H without what phi weighs",
           "the Hessian of the inner loss without the penalties that phi weighs", {"hessian": "unpenalised"}),
    Choice("gauss-newton", "J^T J for the Hessian of the squares",
           "the Gauss-Newton matrix in place of the Hessian: second derivatives of the residuals are left out",
           {"hessian": "gauss-newton"}, ("Martens 2010, Hessian-free optimization",)),
    Choice("diagonal-hessian", "diag(H)", "the diagonal of the Hessian in its place", {"hessian": "diagonal"}),
    Choice("leaf-block-diagonal", "blockdiag(H), the last component a block of its own",
           "the Hessian without its blocks between two leaves, weights and bias, say", {"hessian": "leaves"},
           (f"{TORCHOPT}/utils.py, materialize_matvec",)),
    Choice("weight-decay-missing", "H - 1/2 I",
           "the Hessian of the inner loss without a weight decay of 1/2 that its optimiser adds", {"shift": (-1, 2)},
           (f"{OXFORD_PET}, weight_decay of the optimiser",)),
    Choice("damping-left-in", "H + 1/8 I", "the Hessian with 1/8 added to its diagonal", {"shift": (1, 8)},
           ("google/jaxopt, solve_cg(ridge=)", f"{TORCHOPT}, solve_cg(ridge=)")),
)  # fmt: skip
"""Deviations that go with the exact inverse and with any approximation of it."""

NEUMANN = {"inverse": "neumann", "lr": (1, 16), "terms": 3}

SERIES = (
    Choice("identity", "d - B^T g", "the identity in place of the inverse Hessian", {"inverse": "identity"},
           (LUKETINA, f"{BETTY}/darts.py", f"{AUXILEARN}, truncate_iter=0")),
    Choice("hessian-not-inverted", "d - B^T H g", "the Hessian in place of its inverse", {"inverse": "hessian"}),
    Choice("one-step-unroll", "d - lr B^T g, lr = 1/16",
           "the derivative through a single inner step from the solution", {"inverse": "step", "lr": (1, 16)},
           ("Liu, Simonyan and Yang 2019, arXiv 1806.09055, eq. (7)", "google/jaxopt, implicit_diff=False from w")),
    Choice("neumann", "d - lr B^T sum_{j=0..J} (I - lr H)^j g, lr = 1/16, J = 3",
           "a truncated Neumann series for the inverse Hessian, or as many unrolled steps from the solution", NEUMANN,
           (f"{LORRAINE}, section 4", f"{BETTY}/neumann.py", "prolearner/hypertorch, fixed_point")),
    Choice("neumann-one-term-fewer", "d - lr B^T sum_{j=0..2} (I - lr H)^j g, lr = 1/16",
           "a truncated Neumann series with one term fewer", NEUMANN | {"extra": -1},
           ("prolearner/hypertorch, stoch_AID", "metaopt/torchopt, torchopt/linalg/ns.py, ns_inv beside ns")),
    Choice("neumann-one-term-more", "d - lr B^T sum_{j=0..4} (I - lr H)^j g, lr = 1/16",
           "a truncated Neumann series with one term more", NEUMANN | {"extra": 1}),
    Choice("neumann-without-lr", "d - B^T sum_{j=0..3} (I - lr H)^j g, lr = 1/16",
           "a Neumann series without its factor lr: 1/lr times too large", NEUMANN | {"factor": 0}),
    Choice("neumann-without-lr-or-direct", "-B^T sum_{j=0..3} (I - lr H)^j g, lr = 1/16",
           "a Neumann series without its factor lr, and no direct term", NEUMANN | {"factor": 0, "direct": 0},
           (AUXILEARN,)),
    Choice("neumann-lr-twice", "d - lr^2 B^T sum_{j=0..3} (I - lr H)^j g, lr = 1/16",
           "a Neumann series with its factor lr twice", NEUMANN | {"factor": 2}),
    Choice("neumann-lr-one", "d - B^T sum_{j=0..3} (I - H)^j g",
           "a Neumann series with a step of 1, which diverges unless every eigenvalue of H is below 2",
           NEUMANN | {"lr": (1, 1)}, (f"{TORCHOPT}, solve_inv(ns=True)", f"{BETTY}/neumann.py, neumann_alpha=1")),
    Choice("neumann-without-first-term", "d - lr B^T sum_{j=1..3} (I - lr H)^j g, lr = 1/16",
           "a Neumann series without its term g", NEUMANN | {"summed": "later"}),
    Choice("neumann-terms-subtracted", "d - lr B^T (g - sum_{j=1..3} (I - lr H)^j g), lr = 1/16",
           "a Neumann series whose later terms are subtracted", NEUMANN | {"summed": "subtracted"},
           (f"{LORRAINE}, algorithm 3, read with p -= v", "lorraine2/implicit-hyper-opt, issue 2")),
    Choice("neumann-last-power-only", "d - lr B^T (I - lr H)^3 g, lr = 1/16",
           "the last term of a Neumann series alone", NEUMANN | {"summed": "last"}),
    Choice("rank-one-hessian", "d - lr B^T sum_{j=0..3} (I - lr grad grad^T)^j g, lr = 1/16",
           "a Neumann series with the outer product of the inner gradient for the Hessian, which is zero where the "
           "inner problem is solved: the multiple 4 lr of the identity", NEUMANN | {"hessian": "rank-one"},
           ("lorraine2/implicit-hyper-opt, rnn/train.py",)),
)  # fmt: skip

SETTINGS = tuple(
    Choice(
        f"neumann-{terms}-lr-{p / q:g}",
        f"d - lr B^T sum_{{j=0..{terms}}} (I - lr H)^j g, lr = {p / q:g}",
        f"a Neumann series of {terms + 1} terms with a step of {p / q:g}",
        {"inverse": "neumann", "lr": (p, q), "terms": terms},
        references,
    )
    for (p, q), terms, references in (
        ((1, 1), 1, (f"{BETTY}/neumann.py, neumann_iterations=1",)),
        ((1, 1), 5, ()),
        ((1, 1), 10, (f"{TORCHOPT}, solve_inv(ns=True), maxiter",)),
        ((1, 10), 3, ()),
        ((1, 10), 5, ()),
        ((1, 10), 10, (f"{LORRAINE}, section 5",)),
        ((1, 10), 20, ()),
        ((1, 100), 3, (AUXILEARN,)),
        ((1, 100), 10, ()),
        ((1, 100), 20, ()),
    )
)
"""Steps and numbers of terms that are common in public code."""

NUMBERS = {1: "one", 2: "two", 3: "three", 5: "five", 10: "ten"}

ITERATIONS = tuple(
    Choice(
        f"cg-{NUMBERS[n]}-iteration{'s' * (n > 1)}{'-from-g' * start}",
        f"d - B^T x_{n}{', x_0 = g' * start}",
        f"{NUMBERS[n]} iteration{'s' * (n > 1)} of conjugate gradients{' from the right-hand side' * start}",
        {"inverse": "cg", "iterations": n, "start": start},
        (f"{BETTY}/cg.py, cg_iterations={n}",) if not start else (),
    )
    for start in (0, 1)
    for n in NUMBERS
)

OTHER_SYSTEMS = (
    Choice("ridge-on-normal-equations", "d - B^T (H^2 + 1/8 I)^{-1} H g",
           "the solution of the normal equations with 1/8 added to their diagonal", {"inverse": "normal"},
           ("google/jaxopt, solve_normal_cg(ridge=)", f"{TORCHOPT}, solve_normal_cg(ridge=)")),
    Choice("first-leaf-only", "d - B_1^T H_11^{-1} g_1, without the last component",
           "the hypergradient with the last leaf of the weights left out of the inner problem",
           {"inverse": "first-leaf"}, (f"{OXFORD_PET}, parameters without classifier2",)),
    Choice("cg-stale-iterate", "d - B^T x_{K-1} where x_K solves the system",
           "conjugate gradients that return the iterate before the one found to have converged", {"inverse": "stale"},
           (HYPERTORCH,)),
    Choice("cg-direction-from-old-residual", "d - B^T x_n, p_{j+1} = r_j + beta_j p_j",
           "conjugate gradients whose new direction uses the residual before the step", {"inverse": "old-residual"},
           (MOSKOMULE, "leopard-ai/betty, issue 15")),
    Choice("cg-scale-mismatch", "d - B^T x_n / 2, steps r^T r / (p^T H p / 2)",
           "conjugate gradients for half the Hessian whose residual is that of the whole",
           {"inverse": "half-curvature"}, (f"{BETTY}/cg.py, cg_alpha=1/2",)),
    Choice("inner-not-solved", "d - B^T H^{-1} g at w after 4 steps of gradient descent from zero, lr = 1/16",
           "the formula at a point that is not stationary: the inner problem is left unsolved",
           {"point": "unsolved", "lr": (1, 16), "terms": 3},
           ("google/jaxopt, maxiter reached", "uwplasma/vmex, pull request 367")),
)  # fmt: skip

CHOICES = (*ANY_INVERSE, *SERIES, *SETTINGS, *ITERATIONS, *OTHER_SYSTEMS)

SCALELESS = (
    Choice("without-lr", "without the factor lr", "the series lacks its factor lr", {"factor": 0}),
    Choice("lr-twice", "with lr^2 for lr", "the series has its factor lr twice", {"factor": 2}),
)
"""Deviations that a series of any setting may have, and the exact inverse cannot."""


def deviating(recipe: Recipe) -> Callable[..., Array]:
    """The formula where it is none of the contract's: as many iterations as there are unknowns solve the system."""
    value = at_solution(recipe)

    def short(inner: Inner, outer: Outer, w: Array, phi: Array) -> Array:
        if recipe.inverse == "cg" and recipe.iterations >= len(w):
            raise NotApplicable(f"{recipe.iterations} iterations solve a system of order {len(w)}")
        return value(inner, outer, w, phi)

    return short


HYPERGRADIENT_VARIANTS: tuple[Variant, ...] = axes.singles(deviating, EXACT, CHOICES)


@cache
def hypergradient_products() -> tuple[Variant, ...]:
    """The formulas that deviate in two ways, those settings of a series included that lack their factor."""
    pairs = axes.products(at_solution, EXACT, (*SETTINGS, *SCALELESS))
    scaled = tuple(pair for pair in pairs if "neumann" in pair.name)
    return (*axes.products(at_solution, EXACT, CHOICES), *scaled)
