r"""The gradient of an outer loss through the solution of an inner problem.

Problem: ``F(phi) = outer(w*(phi), phi)``, where ``w*(phi)`` is a stationary point of ``inner(., phi)``.

Result, by the implicit function theorem [lorraine2020]_:

.. math:: \nabla F = d - B^\top u, \qquad H u = g,
   :label: hypergradient

with ``g = d outer / d w``, ``d = d outer / d phi`` (the direct term), ``H = d^2 inner / d w^2`` and
``B = d^2 inner / d w d phi``, all at ``(w*, phi)``. Only stationarity and an invertible H are used. ``B^T u`` is the
pullback of u through the map ``phi -> d inner / d w``; B is never formed.

Where this differs from well-known implementations:

1. the direct term d is part of the result (AuxiLearn leaves it out by design);
2. the residual of the linear system is computed from H at the end, not updated along the way;
3. a point that is not stationary, an indefinite and a singular Hessian are errors, not numbers.

References
----------
.. [lorraine2020] J. Lorraine, P. Vicol, D. Duvenaud, Optimizing millions of hyperparameters by implicit
   differentiation, AISTATS 2020, Theorem 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import wraps
from typing import Literal

from refgrad.autodiff import grad, hessian, hvp, vjp
from refgrad.errors import InvalidInput, NotConverged
from refgrad.linalg import (
    Solution,
    Stopped,
    all_finite,
    conjugate_gradient,
    factorise,
    norm,
)
from refgrad.tree import ravel
from refgrad.typing import Array, ScalarFunction, Tree

__all__ = ["Hypergradient", "hypergradient", "stationary"]


@dataclass(frozen=True)
class Hypergradient:
    """A hypergradient and the evidence for it.

    Attributes
    ----------
    value : tree, as phi
        ``d outer / d phi`` in total: ``direct - indirect``.
    direct, indirect : trees, as phi
        d and ``B^T u``.
    adjoint : array, shape (n,)
        The solution u of ``H u = g``.
    residual : float
        ``|H u - g| / |g|``.
    inner_gradient : float
        ``|d inner / d w|``, which is 0 at a stationary point.
    inner_distance : float
        ``|H^-1 d inner / d w|``: how far w is from stationary, to first order.
    steps : int
        Products with H in the solve for u; 0 for the dense solver.
    stopped : Stopped
        Why the solve for u stopped.
    """

    value: Tree
    direct: Tree
    indirect: Tree
    adjoint: Array
    residual: float
    inner_gradient: float
    inner_distance: float
    steps: int
    stopped: Stopped


def hypergradient(
    inner: ScalarFunction,
    outer: ScalarFunction,
    w: Tree,
    phi: Tree,
    *,
    solver: Literal["dense", "cg"] = "dense",
    definite: bool = True,
    rtol: float | None = None,
    inner_rtol: float = 1e-3,
) -> Hypergradient:
    """The derivative of ``outer(w*(phi), phi)`` by phi, equation (hypergradient).

    Parameters
    ----------
    inner, outer : callables
        ``inner(w, phi)`` and ``outer(w, phi)``, each one number; sums or means alike, no scale is assumed.
    w : tree
        Stationary for inner at phi; n elements in all.
    phi : tree
        m elements in all.
    solver : {"dense", "cg"}
        ``"dense"`` forms H, of shape (n, n), and eliminates; ``"cg"`` uses Hessian-vector products alone.
    definite : bool
        Whether H must be positive definite, as at a minimum; a saddle needs False, and the dense solver.
    rtol : float, optional
        The relative residual ``|H u - g| / |g|`` that the linear solve must reach. If not given, 1e-10 for conjugate
        gradients; elimination is then taken as it comes, with its residual in the result, since in float32 or where H
        is ill-conditioned no solver reaches more than a multiple of the unit roundoff times ``|H| |u| / |g|``.
    inner_rtol : float
        How far from stationary w may be: ``|H^-1 d inner/dw| <= inner_rtol |w|``.

    Raises
    ------
    NotConverged
        If w is not stationary, the linear solve misses its tolerance, or its residual is NaN.
    IndefiniteHessian
        If H has to be positive definite and is not.
    SingularMatrix
        If H is singular, on floats to working precision: the hypergradient then depends on how the inner problem was
        solved. Only the dense solver sees this; conjugate gradients solve a consistent singular system without notice.
    InvalidInput
        If an option is not one of those listed, or w or phi is not finite.

    Examples
    --------
    >>> from refgrad import exact
    >>> from refgrad.implicit import hypergradient
    >>> inner = lambda w, phi: (w @ w) / 2 - phi @ w
    >>> outer = lambda w, phi: (w @ w) / 2 + phi @ w
    >>> phi = exact.asarray(["2"])
    >>> bool(hypergradient(inner, outer, phi, phi).value == 3 * phi)
    True
    """
    if solver not in ("dense", "cg"):
        raise InvalidInput(f"hypergradient: expected solver 'dense' or 'cg', got {solver!r}")
    if not definite and solver == "cg":
        raise InvalidInput("hypergradient: conjugate gradients need a minimum; write solver='dense' at a saddle")
    flat_w, unravel_w = ravel(w)
    flat_phi, unravel_phi = ravel(phi)
    if not (all_finite(flat_w) and all_finite(flat_phi)):
        raise InvalidInput("hypergradient: expected finite w and phi, got an infinite or NaN element")

    @wraps(inner)
    def inner_at(v: Array, p: Array) -> Array:
        return inner(unravel_w(v), unravel_phi(p))

    @wraps(outer)
    def outer_at(v: Array, p: Array) -> Array:
        return outer(unravel_w(v), unravel_phi(p))

    g, direct = grad(outer_at, (0, 1))(flat_w, flat_phi)
    slope, pullback = vjp(lambda p: grad(inner_at)(flat_w, p), flat_phi)
    system = _system(inner_at, flat_w, flat_phi, solver, definite, rtol)
    step = system(slope)
    if not stationary(step.value, flat_w, inner_rtol):
        raise NotConverged(
            f"hypergradient: w is not stationary for inner: |d inner / d w| = {norm(slope):.3g}, and a Newton step "
            f"would move w by {norm(step.value):.3g} where |w| = {norm(flat_w):.3g}. Solve the inner problem further, "
            f"or raise inner_rtol (now {inner_rtol:.3g}) if so rough an answer will do."
        )
    u = system(g)  # H u = g
    (indirect,) = pullback(u.value)  # B^T u
    value = direct - indirect  # eq: hypergradient
    return Hypergradient(
        unravel_phi(value),
        unravel_phi(direct),
        unravel_phi(indirect),
        u.value,
        u.residual,
        norm(slope),
        norm(step.value),
        u.steps,
        u.stopped,
    )


def _system(
    inner_at: ScalarFunction, w: Array, phi: Array, solver: str, definite: bool, rtol: float | None
) -> Callable[[Array], Solution]:
    """The function that solves ``H x = b`` and vouches for it."""
    if solver == "cg":
        goal = 1e-10 if rtol is None else rtol
        return lambda b: conjugate_gradient(lambda v: hvp(lambda x: inner_at(x, phi), w, v), b, rtol=goal)
    solve = factorise(hessian(inner_at)(w, phi), "hypergradient: the Hessian of inner", definite=definite)

    def solve_within(b: Array) -> Solution:
        solution = solve(b)
        goal = math.inf if rtol is None else rtol
        if not solution.residual <= goal:
            raise NotConverged(
                f"hypergradient: elimination left |H u - g| / |g| = {solution.residual:.3g}, and {goal:.3g} was asked "
                "for: the Hessian of inner is too ill-conditioned for this dtype. Ask for less, or use float64."
            )
        return solution

    return solve_within


def stationary(step: Array, w: Array, inner_rtol: float) -> bool:
    """Whether a Newton step is short beside w."""
    # the second term lets w = 0 up to rounding pass, where no relative measure can
    return norm(step) <= float(Fraction(inner_rtol)) * norm(w) + 2.0**-52
