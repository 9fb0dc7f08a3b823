"""What is computed in place of the gradient of implicit MAML on quadratic tasks, exactly.

Every answer takes the arguments of `imaml_gradient`, ``(theta, tasks, lam)``. In the formulas A is the Hessian of the
support loss S and g the gradient of the query loss at the adapted point ``phi*``. On quadratic tasks a Hessian taken at
theta in place of phi* cannot be seen: it is the same one.

References
----------
Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630, lemma 1 and algorithm 2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

from refgrad.contracts.meta.imaml import FORM, proximal_point
from refgrad.contracts.meta.maml import mean
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["IMAML_VARIANTS"]

DAMPING = Fraction(1, 8)
"""What `damping-left-in` adds to the diagonal."""

RATE, STEPS = Fraction(1, 16), 3
"""The gradient steps that `inner-not-solved` makes."""

Point = Callable[[Array, Any, Scalar], Array]
System = Callable[[Array, Scalar], Array]
Method = Callable[[Array, Sequence[Any], Scalar], Answer]


def implicit(point: Point, system: System, factor: Callable[[Sequence[Any]], Scalar] = lambda tasks: 1) -> Method:
    """``factor mean_t M^{-1} grad Q(phi)`` with the points phi and the matrices M of `point` and `system`."""

    def gradient(theta: Array, tasks: Sequence[Any], lam: Scalar) -> Answer:
        answers = []
        for support, query in tasks:
            phi, M = point(theta, support, lam), system(support[0], lam)
            answers.append(solution(M, Answer(FORM.grad(phi, query), FORM.grad_terms(phi, query))))
        found, c = mean(answers), factor(tasks)
        return Answer(c * found.value, abs(c) * found.magnitude)

    return gradient


def solution(M: Array, b: Answer) -> Answer:
    """``x = M^{-1} b``; its magnitude counts the terms of ``x = b - (M - I) x``, as that of `imaml_gradient` does."""
    x = checked_solve(M, b.value)
    return Answer(x, b.magnitude + abs(M - identity(M)) @ abs(x))


def operator(A: Array, lam: Scalar) -> Array:
    """``I + A / lam``."""
    return identity(A) + A / lam


def at_start(theta: Array, support: Any, lam: Scalar) -> Array:
    """``theta``."""
    return theta


def descended(theta: Array, support: Any, lam: Scalar) -> Array:
    """Where 3 steps of gradient descent on ``S + lam/2 |phi - theta|^2`` lead from theta, with the rate 1/16."""
    phi = theta
    for _ in range(STEPS):
        phi = phi - RATE * (FORM.grad(phi, support) + lam * (phi - theta))
    return phi


def one_iteration(theta: Array, tasks: Sequence[Any], lam: Scalar) -> Answer:
    """``mean_t (g^T g / g^T (I + A/lam) g) g``, zero where g is."""
    answers = []
    for support, query in tasks:
        phi = proximal_point(theta, support, lam)
        g, terms = FORM.grad(phi, query), FORM.grad_terms(phi, query)
        square, bend = g @ g, g @ (operator(support[0], lam) @ g)
        if square == 0:
            answers.append(Answer(g, terms))
            continue
        if bend == 0:
            raise NotApplicable("conjugate gradients break down: the query gradient has no curvature")
        answers.append(Answer(square / bend * g, abs(square / bend) * terms))
    return mean(answers)


RAJESWARAN = "Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630"
IMAML_DEV = "aravindr93/imaml_dev@29d3fcf"

IMAML_VARIANTS: tuple[Variant, ...] = (
    Variant(
        "first-order",
        "mean_t g",
        "the query gradient at the adapted point, without the derivative of the adaptation",
        (),
        implicit(proximal_point, lambda A, lam: identity(A)),
    ),
    Variant(
        "scale-missing",
        "mean_t (A + lam I)^{-1} g",
        "the solution of the system with A + lam I, not multiplied by lam",
        (),
        implicit(proximal_point, lambda A, lam: A + lam * identity(A)),
    ),
    Variant(
        "strength-missing-in-system",
        "mean_t (I + A)^{-1} g",
        "the system without the factor 1/lam of the Hessian",
        (),
        implicit(proximal_point, lambda A, lam: identity(A) + A),
    ),
    Variant(
        "damping-left-in",
        "mean_t (I + A/lam + 1/8 I)^{-1} g",
        "the system with 1/8 added to its diagonal",
        (f"{IMAML_DEV}, matrix_evaluator with regu_coef",),
        implicit(proximal_point, lambda A, lam: operator(A, lam) + DAMPING * identity(A)),
    ),
    Variant(
        "query-gradient-at-start",
        "mean_t (I + A/lam)^{-1} grad Q(theta)",
        "the right system with the query gradient at the initial parameters",
        (),
        implicit(at_start, operator),
    ),
    Variant(
        "penalty-without-half",
        "mean_t (I + A/(2 lam))^{-1} grad Q(phi*), phi* = argmin S + lam |phi - theta|^2",
        "the gradient for the penalty lam |phi - theta|^2, where lam/2 is asked for",
        (),
        implicit(
            lambda theta, support, lam: proximal_point(theta, support, 2 * lam), lambda A, lam: operator(A, 2 * lam)
        ),
    ),
    Variant(
        "penalty-without-half-in-adaptation",
        "mean_t (I + A/lam)^{-1} grad Q(phi*), phi* = argmin S + lam |phi - theta|^2",
        "the system for the penalty lam/2 |phi - theta|^2 at a point adapted with twice that penalty",
        (),
        implicit(lambda theta, support, lam: proximal_point(theta, support, 2 * lam), operator),
    ),
    Variant(
        "cg-one-iteration",
        "mean_t (g^T g / g^T (I + A/lam) g) g",
        "one iteration of conjugate gradients",
        (f"{RAJESWARAN}, algorithm 2, truncated",),
        one_iteration,
    ),
    Variant(
        "inner-not-solved",
        "mean_t (I + A/lam)^{-1} grad Q(phi_3), phi_3 after 3 steps of 1/16 from theta",
        "the formula at a point that is not stationary: the inner problem is left unsolved",
        ("metaopt/torchopt, examples/iMAML, 5 inner steps",),
        implicit(descended, operator),
    ),
    Variant(
        "sum-over-tasks",
        "sum_t (I + A/lam)^{-1} g",
        "the sum over tasks where the mean is asked for",
        (),
        implicit(proximal_point, operator, len),
    ),
)
