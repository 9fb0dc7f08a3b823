"""The meta-gradient of implicit MAML at adapted parameters that are given, and what is done otherwise.

Adaptation solves ``phi*(theta) = argmin_phi S(phi) + lam/2 |phi - theta|^2`` with the support loss S, with the penalty
lam/2, not lam. There the derivative of phi* by theta is the symmetric matrix ``(I + H/lam)^{-1}`` with the Hessian H of
S at phi*, so that for ``F(theta, lam) = mean_t Q_t(phi*_t)``, the *mean* over tasks of the query losses,

    dF/d theta = mean_t (I + H_t/lam)^{-1} grad Q_t(phi*_t),
    dF/d lam   = -mean_t <(H_t + lam I)^{-1} grad Q_t(phi*_t), phi*_t - theta>.

On quadratic forms ``1/2 (phi - c)^T A (phi - c)`` adaptation itself is ``phi* - c = (I + A/lam)^{-1} (theta - c)``.

References
----------
Rajeswaran, Finn, Kakade and Levine 2019, arXiv 1909.04630, lemma 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from refgrad.contracts.meta.quadratic_form import QuadraticForm
from refgrad.contracts.meta.reductions import Reduction, mean, size
from refgrad.contracts.tools.answer import NotApplicable
from refgrad.contracts.tools.assemble import identity, rows, total
from refgrad.contracts.tools.losses import Loss
from refgrad.contracts.tools.solve import checked_solve
from refgrad.contracts.tools.terms import measured, settled
from refgrad.typing import Array, Scalar

__all__ = ["Recipe", "compute", "imaml_gradient", "proximal_point", "strength_gradient"]

FORM = QuadraticForm()


def given(loss: Loss, theta: Array, adapted: Array, support: Any, lam: Scalar) -> Array:
    """The adapted parameters."""
    return adapted


def start(loss: Loss, theta: Array, adapted: Array, support: Any, lam: Scalar) -> Array:
    """``theta``."""
    return theta


def descended(loss: Loss, theta: Array, adapted: Array, support: Any, lam: Scalar) -> Array:
    """Where 3 steps of gradient descent on ``S + lam/2 |phi - theta|^2`` lead from theta, with the rate 1/16."""
    phi = theta
    for _ in range(3):
        phi = settled(phi - (loss.grad(phi, support) + lam * (phi - theta)) / 16)
    return phi


def scaled(H: Array, lam: Scalar) -> Array:
    """``I + H / lam``."""
    return identity(H) + H / lam


def solution(M: Array, g: Array) -> Array:
    """``x = M^{-1} g``, of the terms of ``g - (M - I) x``."""
    x = checked_solve(settled(M), settled(g))
    return g - settled(M - identity(M)) @ x


def unchanged(M: Array, g: Array) -> Array:
    """``g``."""
    return g


def product(M: Array, g: Array) -> Array:
    """``M g``."""
    return settled(M) @ g


def conjugate_gradients(count: int) -> Callable[[Array, Array], Array]:
    """Some iterations of conjugate gradients from zero; the solution if they are as many as unknowns."""

    def iterations(M: Array, g: Array) -> Array:
        if count >= len(g):
            return solution(M, g)
        M, x, r, p = settled(M), 0 * g, g, g
        for _ in range(count):
            square = settled(r @ r)
            if square == 0:
                break
            bend = settled(p @ (M @ p))
            if bend == 0:
                raise NotApplicable("conjugate gradients break down: there is no curvature along a direction")
            alpha = settled(square / bend)
            x, r = x + alpha * p, settled(r - alpha * (M @ p))
            p = r + settled((r @ r) / square) * settled(p)
        return x

    return iterations


def neumann(count: int) -> Callable[[Array, Array], Array]:
    """``sum_{j=0..count} (I - M)^j g``."""

    def series(M: Array, g: Array) -> Array:
        rest, power, result = settled(identity(M) - M), g, g
        for _ in range(count):
            power = rest @ settled(power)
            result = result + power
        return result

    return series


def alone(answer: Array, query: Any, lam: Scalar) -> Array:
    """The answer as it is."""
    return answer


@dataclass(frozen=True)
class Recipe:
    """What may be otherwise in the implicit meta-gradient; the defaults are those of ``imaml_gradient``.

    Attributes
    ----------
    point : callable
        ``point(loss, theta, adapted, support, lam)``: where the query gradient and the Hessian are taken.
    hessian : callable or None
        Where the Hessian is taken, if elsewhere.
    sets : (int, int)
        Of which of a task's sets the Hessian is, and of which the outer loss: 0 the support, 1 the query set.
    system : callable
        ``system(H, lam)``: the matrix.
    inverse : callable
        ``inverse(M, g)``: what is made of it and of the query gradient.
    scale : callable
        ``scale(answer, query, lam)``.
    tasks : Reduction
    """

    point: Callable[..., Array] = given
    hessian: Callable[..., Array] | None = None
    sets: tuple[int, int] = (0, 1)
    system: Callable[[Array, Scalar], Array] = scaled
    inverse: Callable[[Array, Array], Array] = solution
    scale: Callable[[Array, Any, Scalar], Array] = alone
    tasks: Reduction = mean


def compute(recipe: Recipe) -> Callable[..., Array]:
    """The formula of a recipe, a function of ``(loss, theta, adapted, tasks, lam)``."""

    def formula(loss: Loss, theta: Array, adapted: Sequence[Array], tasks: Sequence[Any], lam: Scalar) -> Array:
        answers = []
        for phi, task in zip(adapted, tasks, strict=True):
            point = recipe.point(loss, theta, phi, task[0], lam)
            place = recipe.hessian(loss, theta, phi, task[0], lam) if recipe.hessian is not None else point
            H = rows([loss.hvp(place, task[recipe.sets[0]], unit) for unit in identity(point)])
            g = loss.grad(point, task[recipe.sets[1]])
            answers.append(recipe.scale(recipe.inverse(recipe.system(H, lam), g), task[1], lam))
        return recipe.tasks(answers, tasks)

    return formula


imaml_gradient = measured(compute(Recipe()))
"""``mean_t (I + H_t/lam)^{-1} grad Q_t(phi_t)``, shape (p,), at the adapted parameters phi."""


def query_size(answer: Array, query: Any, lam: Scalar) -> Array:
    """``N_Q`` times the answer."""
    return size(query) * answer


@measured
def strength_gradient(theta: Array, tasks: Sequence[Any], lam: Scalar) -> Array:
    """The derivative of ``mean_t Q_t(phi*_t)`` by the strength `lam` of the penalty, shape (), on quadratic forms."""
    answers = []
    for support, query in tasks:
        phi = settled(proximal_point(theta, support, lam))
        u = pulled_back(FORM.grad(phi, query), support, lam) / lam  # (A + lam I)^{-1} grad Q
        answers.append(-(settled(u) @ (phi - theta)))
    return total(answers) / len(answers)


def proximal_point(theta: Array, support: Any, lam: Scalar) -> Array:
    """``phi* = c + (I + A/lam)^{-1} (theta - c)`` of a quadratic form, shape (p,).

    Raises
    ------
    SingularMatrix
        If -lam is an eigenvalue of A. Where ``A + lam I`` is not positive definite, phi* is stationary but no minimum.
    """
    return support[1] + pulled_back(theta - support[1], support, lam)


def pulled_back(v: Array, support: Any, lam: Scalar) -> Array:
    """``(I + A/lam)^{-1} v``, shape (p,)."""
    return checked_solve(scaled(support[0], lam), v)
