"""What is computed in place of the gradient of implicit MAML, exactly.

Every answer takes the arguments of `imaml_gradient`, ``(loss, theta, adapted, tasks, lam)``. In the formulas H is the
Hessian of the support loss S and g the gradient of the query loss, both at the adapted point phi.

References
----------
Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630, lemma 1 and algorithm 2.
"""

from __future__ import annotations

from refgrad.contracts.meta import imaml
from refgrad.contracts.meta.imaml import Recipe, compute
from refgrad.contracts.meta.reductions import REDUCTION_CHOICES, SIZE_CHOICES
from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.axes import Choice, products, singles
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array, Scalar

__all__ = ["CHOICES", "IMAML_VARIANTS", "pairs", "variants"]

RAJESWARAN = "Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630"
IMAML_DEV = "aravindr93/imaml_dev@29d3fcf"
WITHOUT = {"system": imaml.scaled, "hessian": None}
"""Of answers in which no system is solved."""


def diagonal(H: Array, lam: Scalar) -> Array:
    """``I + diag(H) / lam``."""
    return identity(H) + identity(H) * H / lam


def iterations(count: int, word: str) -> Choice:
    """Some iterations of conjugate gradients."""
    return Choice(
        f"cg-{word}-iteration" + "s" * (count > 1),
        f"mean_t x_{count}, x_{count} after {word} iterations of conjugate gradients from 0",
        f"{word} iteration{'s' * (count > 1)} of conjugate gradients, started at zero",
        {"inverse": imaml.conjugate_gradients(count)},
        (f"{RAJESWARAN}, algorithm 2, truncated",),
    )


CHOICES = (
    Choice("first-order", "mean_t g",
           "the query gradient at the adapted point, without the derivative of the adaptation",
           {"inverse": imaml.unchanged, **WITHOUT}),
    Choice("scale-missing", "mean_t (H + lam I)^{-1} g",
           "the solution of the system with H + lam I, not multiplied by lam",
           {"scale": lambda answer, query, lam: answer / lam}),
    Choice("strength-missing-in-system", "mean_t (I + H)^{-1} g", "the system without the factor 1/lam of the Hessian",
           {"system": lambda H, lam: identity(H) + H}),
    Choice("strength-on-wrong-side", "mean_t (I + lam H)^{-1} g",
           "the system with the Hessian multiplied by lam instead of divided",
           {"system": lambda H, lam: identity(H) + lam * H}),
    Choice("penalty-without-half", "mean_t (I + H/(2 lam))^{-1} g",
           "the system for the penalty lam |phi - theta|^2, where lam/2 is asked for",
           {"system": lambda H, lam: identity(H) + H / (2 * lam)}),
    Choice("sign-of-hessian", "mean_t (I - H/lam)^{-1} g", "the system with the sign of the Hessian changed",
           {"system": lambda H, lam: identity(H) - H / lam}),
    Choice("damping-left-in", "mean_t (I + H/lam + 1/8 I)^{-1} g", "the system with 1/8 added to its diagonal",
           {"system": lambda H, lam: identity(H) + H / lam + identity(H) / 8},
           (f"{IMAML_DEV}, matrix_evaluator with regu_coef",)),
    Choice("strength-damped-by-ten", "mean_t (I + H/(lam + 10))^{-1} g", "the system with 10 added to the strength",
           {"system": lambda H, lam: identity(H) + H / (lam + 10)},
           (f"{IMAML_DEV}, matrix_evaluator with lam_damping",)),
    Choice("diagonal-hessian", "mean_t (I + diag(H)/lam)^{-1} g", "the system with the diagonal of the Hessian alone",
           {"system": diagonal}),
    Choice("system-not-inverted", "mean_t (I + H/lam) g",
           "the product with the matrix in place of the solution of its system", {"inverse": imaml.product}),
    iterations(1, "one"),
    iterations(2, "two"),
    iterations(3, "three"),
    Choice("neumann-one-term", "mean_t (I - H/lam) g",
           "the series of the inverse cut after its first term, as by one step of MAML with the rate 1/lam",
           {"inverse": imaml.neumann(1)}),
    Choice("neumann-two-terms", "mean_t (I - H/lam + H^2/lam^2) g",
           "the series of the inverse cut after its second term", {"inverse": imaml.neumann(2)}),
    Choice("hessian-at-start", "H taken at theta", "the system with the Hessian at the initial parameters",
           {"hessian": imaml.start}),
    Choice("query-hessian", "H = Hess Q(phi)",
           "the system with the Hessian of the query loss in place of the support loss", {"sets": (1, 1)}),
    Choice("support-loss-in-outer", "g = grad S(phi)",
           "the outer gradient of the support loss: the query set is not used", {"sets": (0, 0)}),
    Choice("query-gradient-at-start", "mean_t (I + H/lam)^{-1} grad Q(theta)",
           "the right system with the query gradient at the initial parameters",
           {"point": imaml.start, "hessian": imaml.given}),
    Choice("everything-at-start", "mean_t (I + H(theta)/lam)^{-1} grad Q(theta)",
           "the formula at the initial parameters: the adapted ones are not used",
           {"point": imaml.start, "hessian": None}),
    Choice("inner-not-solved", "mean_t (I + H/lam)^{-1} grad Q(phi_3), phi_3 after 3 steps of 1/16 from theta",
           "the formula at a point that is not stationary: the inner problem is left unsolved",
           {"point": imaml.descended, "hessian": None}, ("metaopt/torchopt, examples/iMAML, 5 inner steps",)),
    Choice("outer-loss-summed", "N_Q g",
           "the gradient of a query loss summed over its examples where the mean is asked for",
           {"scale": imaml.query_size}),
    *REDUCTION_CHOICES,
    *SIZE_CHOICES,
)  # fmt: skip

ZERO = Variant(
    "zero",
    "0",
    "the graph is cut between the parameters and the query loss",
    (),
    measured(lambda loss, theta, adapted, tasks, lam: 0 * theta),
)


def variants(base: Recipe) -> tuple[Variant, ...]:
    """Those that deviate from `base` along one axis, and zero."""
    return (*singles(compute, base, CHOICES), ZERO)


def pairs(base: Recipe) -> tuple[Variant, ...]:
    """Those that deviate from `base` along two axes."""
    return products(compute, base, CHOICES)


IMAML_VARIANTS = variants(Recipe())
