"""What is computed in place of a hypergradient, exactly: each formula has been seen in public code or is a near miss.

Every answer takes ``(problem, phi)``, a `Bilevel` and its outer variables, and as keywords the learning rate `lr` and
the last power `terms` of those formulas that have them. Most are ``a d + b B^T x`` with some x in place of
``u = H^{-1} g``; where the outer loss has no direct term, formulas that differ by it are one.

References
----------
Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590; Grazzi, Franceschi, Pontil and Salzo 2020, arXiv 2006.16218.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from refgrad.contracts.implicit import adjoints
from refgrad.contracts.implicit.adjoints import Adjoint, Settings
from refgrad.contracts.implicit.problem import Bilevel, Derivatives
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.typing import Array, Scalar

__all__ = ["HYPERGRADIENT_VARIANTS", "neumann_hypergradient"]

Formula = Callable[[Derivatives, Settings], Answer]
Method = Callable[..., Answer]

LR, TERMS = Settings.lr, Settings.terms


def assembled(adjoint: Adjoint, direct: Scalar = 1, indirect: Scalar = -1) -> Formula:
    """``direct d + indirect B^T x`` with the x that `adjoint` gives."""

    def formula(D: Derivatives, s: Settings) -> Answer:
        x = adjoint(D, s)
        value = direct * D.d.value + indirect * (D.B.T @ x.value)
        return Answer(value, abs(direct) * D.d.magnitude + abs(indirect) * (abs(D.B).T @ x.magnitude))

    return formula


def at_solution(formula: Formula) -> Method:
    """A formula of the derivatives at the inner solution."""

    def method(problem: Bilevel, phi: Array, lr: Scalar = LR, terms: int = TERMS) -> Answer:
        return formula(problem.derivatives(problem.solution(phi), phi), Settings(lr, terms))

    return method


def with_adjoint(adjoint: Adjoint, direct: Scalar = 1, indirect: Scalar = -1) -> Method:
    """``direct d + indirect B^T x`` at the inner solution."""
    return at_solution(assembled(adjoint, direct, indirect))


def neumann_hypergradient(problem: Bilevel, phi: Array, lr: Scalar = LR, terms: int = TERMS) -> Answer:
    """``d - B^T lr sum_{j=0..terms} (I - lr H)^j g`` at the inner solution, shape (m,).

    As many steps of gradient descent as there are terms in the sum, begun at the solution and differentiated with that
    start held fixed, give the same vector: Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, theorem 2.

    Parameters
    ----------
    problem : Bilevel
    phi : array, shape (m,)
    lr : scalar
        The series converges to the hypergradient for ``0 < lr < 2 / lambda_max(H)`` and positive definite H.
    terms : int
        The last power; the sum has one term more.
    """
    return with_adjoint(adjoints.neumann)(problem, phi, lr, terms)


def not_transposed(D: Derivatives, s: Settings) -> Answer:
    """``d - B u``."""
    n, m = D.B.shape
    if n != m:
        raise NotApplicable(f"B of shape ({n}, {m}) times a vector of length {n}: only a square B is defined")
    u = adjoints.exact_adjoint(D, s)
    return Answer(D.d.value - D.B @ u.value, D.d.magnitude + abs(D.B) @ u.magnitude)


def leaking(D: Derivatives, s: Settings) -> Answer:
    """``d inner / dphi + d - B^T u``."""
    answer = assembled(adjoints.exact_adjoint)(D, s)
    return Answer(D.slope_phi.value + answer.value, D.slope_phi.magnitude + answer.magnitude)


def not_solved(problem: Bilevel, phi: Array, lr: Scalar = LR, terms: int = TERMS) -> Answer:
    """``d - B^T H^{-1} g`` at the point that ``terms + 1`` steps of gradient descent from zero reach."""
    w = 0 * problem.solution(phi)
    for _ in range(terms + 1):
        w = w - lr * problem.inner_grad(w, phi)
    return assembled(adjoints.exact_adjoint)(problem.derivatives(w, phi), Settings(lr, terms))


HALF = Fraction(1, 2)
LORRAINE = "Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590"
LUKETINA = "Luketina, Berglund, Greff and Raiko 2016, arXiv 1511.06727"
AUXILEARN = "AvivNavon/AuxiLearn, auxilearn/implicit_diff.py"
BETTY = "leopard-ai/betty, betty/hypergradient"
HYPERTORCH = "prolearner/hypertorch, hypergrad/CG_torch.py"
MOSKOMULE = "moskomule/hypergrad, hypergrad/approximate_ihvp.py"
TORCHOPT = "metaopt/torchopt, torchopt/linear_solve"

SIGNS_AND_SCALES: tuple[Variant, ...] = (
    Variant(
        "indirect-sign-flipped",
        "d + B^T H^{-1} g",
        "the direct term minus the indirect one: the sign of the implicit function theorem is lost",
        (),
        with_adjoint(adjoints.exact_adjoint, 1, 1),
    ),
    Variant(
        "sign-flipped",
        "-d + B^T H^{-1} g",
        "the negative of the hypergradient",
        (),
        with_adjoint(adjoints.exact_adjoint, -1, 1),
    ),
    Variant(
        "direct-sign-flipped",
        "-d - B^T H^{-1} g",
        "the indirect term minus the direct one",
        ("lorraine2/implicit-hyper-opt, train_augment_net2.py, with a regulariser",),
        with_adjoint(adjoints.exact_adjoint, -1, -1),
    ),
    Variant(
        "missing-direct",
        "-B^T H^{-1} g",
        "the indirect term alone: the outer loss's own dependence on phi is left out",
        (AUXILEARN, "lucfra/FAR-HO, issue 6"),
        with_adjoint(adjoints.exact_adjoint, 0, -1),
    ),
    Variant(
        "direct-only",
        "d",
        "the direct term alone: the inner solution is taken for a constant, or the gradient at it is that of the "
        "inner loss, which vanishes there",
        (f"{HYPERTORCH}, for one weight or H a multiple of the identity", "metaopt/torchopt, issue 222"),
        with_adjoint(adjoints.identity_adjoint, 1, 0),
    ),
    Variant(
        "zero",
        "0",
        "zero: the graph is cut between phi and the outer loss",
        ("bigaidream-projects/drmad, issue 1",),
        with_adjoint(adjoints.identity_adjoint, 0, 0),
    ),
    Variant(
        "doubled",
        "2 (d - B^T H^{-1} g)",
        "twice the hypergradient: it is accumulated on one already there",
        ("prolearner/hypertorch, set_grad",),
        with_adjoint(adjoints.exact_adjoint, 2, -2),
    ),
    Variant(
        "halved",
        "(d - B^T H^{-1} g) / 2",
        "half the hypergradient: the outer loss has a factor 1/2 too many",
        (),
        with_adjoint(adjoints.exact_adjoint, HALF, -HALF),
    ),
    Variant(
        "indirect-doubled",
        "d - 2 B^T H^{-1} g",
        "the indirect term twice: one of H, B and g has a factor 2 that the others lack",
        (),
        with_adjoint(adjoints.exact_adjoint, 1, -2),
    ),
    Variant(
        "indirect-halved",
        "d - B^T H^{-1} g / 2",
        "half the indirect term: one of H, B and g has a factor 1/2 that the others lack",
        (),
        with_adjoint(adjoints.exact_adjoint, 1, -HALF),
    ),
    Variant(
        "inner-loss-leak",
        "d inner / dphi + d - B^T H^{-1} g",
        "the hypergradient plus the derivative of the inner loss by phi, left there by the inner steps",
        (),
        at_solution(leaking),
    ),
    Variant(
        "mixed-partial-not-transposed",
        "d - B H^{-1} g",
        "the cross derivative times u without transposition",
        (),
        at_solution(not_transposed),
    ),
    Variant(
        "inner-not-solved",
        "d - B^T H^{-1} g at w after terms + 1 steps of gradient descent from zero",
        "the formula at a point that is not stationary: the inner problem is left unsolved",
        ("google/jaxopt, maxiter reached", "uwplasma/vmex, pull request 367"),
        not_solved,
    ),
)

SERIES: tuple[Variant, ...] = (
    Variant(
        "identity",
        "d - B^T g",
        "the identity in place of the inverse Hessian",
        (LUKETINA, f"{BETTY}/darts.py", f"{AUXILEARN}, truncate_iter=0"),
        with_adjoint(adjoints.identity_adjoint),
    ),
    Variant(
        "one-step-unroll",
        "d - lr B^T g",
        "the derivative through a single inner step from the solution",
        ("Liu, Simonyan and Yang 2019, arXiv 1806.09055, eq. (7)", "google/jaxopt, implicit_diff=False from w"),
        with_adjoint(adjoints.one_step),
    ),
    Variant(
        "neumann",
        "d - lr B^T sum_{j=0..J} (I - lr H)^j g",
        "a truncated Neumann series for the inverse Hessian, or as many unrolled steps from the solution",
        (f"{LORRAINE}, section 4", f"{BETTY}/neumann.py", "prolearner/hypertorch, fixed_point"),
        neumann_hypergradient,
    ),
    Variant(
        "neumann-one-term-fewer",
        "d - lr B^T sum_{j=0..J-1} (I - lr H)^j g",
        "a truncated Neumann series with one term fewer",
        ("prolearner/hypertorch, stoch_AID", "metaopt/torchopt, torchopt/linalg/ns.py, ns_inv beside ns"),
        with_adjoint(adjoints.neumann_fewer),
    ),
    Variant(
        "neumann-one-term-more",
        "d - lr B^T sum_{j=0..J+1} (I - lr H)^j g",
        "a truncated Neumann series with one term more",
        (),
        with_adjoint(adjoints.neumann_more),
    ),
    Variant(
        "neumann-without-lr",
        "d - B^T sum_{j=0..J} (I - lr H)^j g",
        "a Neumann series without its factor lr: 1/lr times too large",
        (),
        with_adjoint(adjoints.neumann_without_lr),
    ),
    Variant(
        "neumann-without-lr-or-direct",
        "-B^T sum_{j=0..J} (I - lr H)^j g",
        "a Neumann series without its factor lr, and no direct term",
        (AUXILEARN,),
        with_adjoint(adjoints.neumann_without_lr, 0, -1),
    ),
    Variant(
        "neumann-lr-twice",
        "d - lr^2 B^T sum_{j=0..J} (I - lr H)^j g",
        "a Neumann series with its factor lr twice",
        (),
        with_adjoint(adjoints.neumann_lr_twice),
    ),
    Variant(
        "neumann-lr-one",
        "d - B^T sum_{j=0..J} (I - H)^j g",
        "a Neumann series with a step of 1, which diverges unless every eigenvalue of H is below 2",
        (f"{TORCHOPT}, solve_inv(ns=True)", f"{BETTY}/neumann.py, neumann_alpha=1"),
        with_adjoint(adjoints.neumann_lr_one),
    ),
    Variant(
        "neumann-without-first-term",
        "d - lr B^T sum_{j=1..J} (I - lr H)^j g",
        "a Neumann series without its term g",
        (),
        with_adjoint(adjoints.neumann_without_first),
    ),
    Variant(
        "neumann-terms-subtracted",
        "d - lr B^T (g - sum_{j=1..J} (I - lr H)^j g)",
        "a Neumann series whose later terms are subtracted",
        (f"{LORRAINE}, algorithm 3, read with p -= v", "lorraine2/implicit-hyper-opt, issue 2"),
        with_adjoint(adjoints.neumann_subtracted),
    ),
    Variant(
        "neumann-last-power-only",
        "d - lr B^T (I - lr H)^J g",
        "the last term of a Neumann series alone",
        (),
        with_adjoint(adjoints.last_power),
    ),
)

OTHER_SYSTEMS: tuple[Variant, ...] = (
    Variant(
        "outer-hessian",
        "d - B^T Q^{-1} g",
        "the inverse Hessian of the outer loss in place of that of the inner one",
        (),
        with_adjoint(adjoints.outer_hessian),
    ),
    Variant(
        "hessian-not-inverted",
        "d - B^T H g",
        "the Hessian in place of its inverse",
        (),
        with_adjoint(adjoints.not_inverted),
    ),
    Variant(
        "weight-decay-missing",
        "d - B^T (H - 1/2 I)^{-1} g",
        "the inverse Hessian of the inner loss without a weight decay of 1/2 that its optimiser adds",
        ("AvivNavon/AuxiLearn, experiments/oxford_pet/trainer.py, weight_decay of the optimiser",),
        with_adjoint(adjoints.without_weight_decay),
    ),
    Variant(
        "damping-left-in",
        "d - B^T (H + 1/8 I)^{-1} g",
        "the inverse of the Hessian with 1/8 added to its diagonal",
        ("google/jaxopt, solve_cg(ridge=)", f"{TORCHOPT}, solve_cg(ridge=)"),
        with_adjoint(adjoints.damped),
    ),
    Variant(
        "ridge-on-normal-equations",
        "d - B^T (H^2 + 1/8 I)^{-1} H g",
        "the solution of the normal equations with 1/8 added to their diagonal",
        ("google/jaxopt, solve_normal_cg(ridge=)", f"{TORCHOPT}, solve_normal_cg(ridge=)"),
        with_adjoint(adjoints.damped_normal_equations),
    ),
    Variant(
        "diagonal-hessian",
        "d - B^T diag(H)^{-1} g",
        "the inverse of the diagonal of the Hessian",
        (),
        with_adjoint(adjoints.diagonal),
    ),
    Variant(
        "leaf-block-diagonal",
        "d - B^T blockdiag(H)^{-1} g, the last component a block of its own",
        "the inverse of the Hessian without its blocks between two leaves, weights and bias, say",
        (f"{TORCHOPT}/utils.py, materialize_matvec",),
        with_adjoint(adjoints.leaf_blocks),
    ),
    Variant(
        "first-leaf-only",
        "d - B_1^T H_11^{-1} g_1, without the last component",
        "the hypergradient with the last leaf of the weights left out of the inner problem",
        ("AvivNavon/AuxiLearn, experiments/oxford_pet/trainer.py, parameters without classifier2",),
        with_adjoint(adjoints.first_leaf),
    ),
    Variant(
        "cg-one-iteration",
        "d - B^T x_1",
        "one iteration of conjugate gradients",
        (f"{BETTY}/cg.py, cg_iterations=1",),
        with_adjoint(adjoints.cg_one_iteration),
    ),
    Variant(
        "cg-stale-iterate",
        "d - B^T x_{K-1} where x_K solves the system",
        "conjugate gradients that return the iterate before the one found to have converged",
        (HYPERTORCH,),
        with_adjoint(adjoints.cg_stale),
    ),
    Variant(
        "cg-direction-from-old-residual",
        "d - B^T x_n, p_{j+1} = r_j + beta_j p_j",
        "conjugate gradients whose new direction uses the residual before the step",
        (MOSKOMULE, "leopard-ai/betty, issue 15"),
        with_adjoint(adjoints.cg_old_residual),
    ),
    Variant(
        "cg-scale-mismatch",
        "d - B^T x_n / 2, steps r^T r / (p^T H p / 2)",
        "conjugate gradients for half the Hessian whose residual is that of the whole",
        (f"{BETTY}/cg.py, cg_alpha=1/2",),
        with_adjoint(adjoints.cg_scale_mismatch),
    ),
)

HYPERGRADIENT_VARIANTS: tuple[Variant, ...] = (*SIGNS_AND_SCALES, *SERIES, *OTHER_SYSTEMS)
