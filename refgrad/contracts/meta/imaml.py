"""The meta-gradient of implicit MAML on quadratic tasks, where the inner problem is solved exactly.

The support loss S is ``1/2 (phi - c)^T A (phi - c)``, the query loss Q the same of another pair. Adaptation gives

    phi*(theta) = argmin_phi S(phi) + lam/2 |phi - theta|^2,     phi* - c = (I + A/lam)^{-1} (theta - c),

with the penalty lam/2, not lam. Its derivative by theta is the symmetric matrix ``(I + A/lam)^{-1}``, so that for
``F(theta, lam) = mean_t Q_t(phi*_t)``, the *mean* over tasks,

    dF/d theta = mean_t (I + A/lam)^{-1} grad Q(phi*),
    dF/d lam   = -mean_t <(A + lam I)^{-1} grad Q(phi*), phi* - theta>.

References
----------
Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630, lemma 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from refgrad.contracts.meta.maml import mean
from refgrad.contracts.meta.quadratic_form import QuadraticForm
from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["imaml_gradient", "proximal_point", "strength_gradient"]

FORM = QuadraticForm()


def imaml_gradient(theta: Array, tasks: Sequence[Any], lam: Scalar) -> Answer:
    """The gradient of ``mean_t Q_t(phi*_t)`` by `theta`, shape (d,).

    Its magnitude counts the terms of ``g = grad Q - A g / lam``, the system that the answer solves.

    Parameters
    ----------
    theta : array, shape (d,)
    tasks : list of (support, query)
        Each a pair ``(A, c)``, A symmetric, shape (d, d), and c of shape (d,).
    lam : scalar
        Not zero. Where ``A + lam I`` is not positive definite, phi* is stationary and no minimiser.

    Raises
    ------
    SingularMatrix
        If -lam is an eigenvalue of a support set's A.
    """
    answers = []
    for support, query in tasks:
        phi = proximal_point(theta, support, lam)
        g = pulled_back(FORM.grad(phi, query), support, lam)
        terms = FORM.grad_terms(phi, query) + FORM.hvp_terms(phi, support, g) / abs(lam)
        answers.append(Answer(g, terms))
    return mean(answers)


def strength_gradient(theta: Array, tasks: Sequence[Any], lam: Scalar) -> Answer:
    """The derivative of ``mean_t Q_t(phi*_t)`` by the strength `lam` of the penalty, shape ()."""
    answers = []
    for support, query in tasks:
        phi = proximal_point(theta, support, lam)
        u = pulled_back(FORM.grad(phi, query), support, lam) / lam  # (A + lam I)^{-1} grad Q
        answers.append(Answer(-(u @ (phi - theta)), abs(u) @ (abs(phi) + abs(theta))))
    return mean(answers)


def proximal_point(theta: Array, support: Any, lam: Scalar) -> Array:
    """``phi* = c + (I + A/lam)^{-1} (theta - c)``, shape (d,)."""
    return support[1] + pulled_back(theta - support[1], support, lam)


def pulled_back(v: Array, support: Any, lam: Scalar) -> Array:
    """``(I + A/lam)^{-1} v``, shape (d,)."""
    return checked_solve(identity(support[0]) + support[0] / lam, v)
