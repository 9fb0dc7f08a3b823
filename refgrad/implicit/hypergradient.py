r"""The gradient of an outer loss through the solution of an inner problem.

Problem: :math:`F(\phi) = \mathrm{outer}(w^*(\phi), \phi)`, with a stationary point :math:`w^*(\phi)` of inner by w.

Result, by the implicit function theorem [lorraine2020]_:

.. math:: \nabla F = d - B^\top u, \qquad H u = g,
   :label: hypergradient

with :math:`g = \partial_w\,\mathrm{outer}`, :math:`d = \partial_\phi\,\mathrm{outer}` (the direct term),
:math:`H = \partial_w^2\,\mathrm{inner}` and :math:`B = \partial_\phi\partial_w\,\mathrm{inner}`, all at
:math:`(w^*, \phi)`. For :math:`\partial_w\,\mathrm{inner}` stays zero as :math:`\phi` moves: with W the derivative of
:math:`w^*` by :math:`\phi`, :math:`H W + B = 0`, and :math:`\nabla F = d + W^\top g = d - B^\top H^{-1} g`. Only
stationarity and an invertible H are used. :math:`B^\top u` is the pullback (vector-Jacobian product) of u through the
map :math:`\phi \mapsto \partial_w\,\mathrm{inner}`; B is never formed.

To first order, at a w that is off by ``delta = H^-1 d inner / d w``, the value is off by

.. math:: \Lambda_{\phi w}\,\delta - B^\top H^{-1} \Lambda_{ww}\,\delta, \qquad
          \Lambda = \text{outer} - u^\top \nabla_w\,\text{inner},
   :label: hypergradient-error

with u held fixed, which is one more solve; of a quadratic inner and outer loss it is all there is. The same Lagrangian
gives the second derivative, in which the third derivative of inner by w in the direction u is easily forgotten:

.. math:: W = -H^{-1} B, \qquad
          \nabla^2 F = \begin{pmatrix} W \\ I \end{pmatrix}^\top \nabla^2_{(w, \phi)} \Lambda
          \begin{pmatrix} W \\ I \end{pmatrix} .
   :label: hypergradient-second

Where this differs from well-known implementations:

1. the direct term d is part of the result (AuxiLearn leaves it out by design);
2. the residual of the linear system, ``H u - g``, is computed at the end, not updated along the way;
3. a point that is not stationary, a saddle, a singular Hessian whose hypergradient depends on a choice, and a series
   that diverges are errors, not numbers.

References
----------
.. [lorraine2020] J. Lorraine, P. Vicol, D. Duvenaud, Optimizing millions of hyperparameters by implicit
   differentiation, AISTATS 2020, Theorem 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache, wraps

from refgrad.autodiff import grad, hessian, jacrev, jvp
from refgrad.autodiff.core import primal
from refgrad.autodiff.linearize import Run
from refgrad.backend import of
from refgrad.errors import (
    IndefiniteHessian,
    InnerNotConverged,
    InvalidInput,
    NotAMinimiser,
    NotConverged,
    SingularMatrix,
)
from refgrad.implicit.result import Flags, Hypergradient
from refgrad.implicit.singular import inertia_of, singular_system
from refgrad.linalg import CG, Dense, Solution, Solver, Stopped, System, all_finite, norm
from refgrad.linalg.named import named
from refgrad.tree import ravel
from refgrad.typing import Array, ScalarFunction, Tree

__all__ = ["hypergradient", "stationary"]

DENSE = 2000
"""Up to so many inner parameters the Hessian is formed, unless a solver is named."""


def hypergradient(
    inner: ScalarFunction,
    outer: ScalarFunction,
    w: Tree,
    phi: Tree,
    *,
    solver: str | Solver | None = None,
    definite: bool = True,
    rtol: float | None = None,
    inner_rtol: float = 1e-3,
    map: Callable[..., Iterable[Array]] = map,
) -> Hypergradient:
    """The derivative of ``outer(w*(phi), phi)`` by phi, equation (hypergradient).

    Parameters
    ----------
    inner, outer : callables
        ``inner(w, phi)`` and ``outer(w, phi)``, each one number; sums or means alike, no scale is assumed. Near w inner
        is twice differentiable. Exact numbers tell a kink there as an error, and floats take the convention for it: of
        weights that a lasso holds at zero, write inner and outer without them.
    w : tree
        Stationary for inner at phi; n elements in all.
    phi : tree
        m elements in all.
    solver : Solver or str, optional
        For ``H u = g``: an object of `refgrad.linalg`, such as ``Neumann(terms=4, lr=0.1)``, or a name for one without
        settings: ``"dense"``, ``"cg"``, ``"minres"``, ``"gmres"``, ``"identity"``. If not given, `Dense` up to
        n = 2000, and ``CG(preconditioner="diagonal")`` above.
    definite : bool
        Whether H must be positive definite, as at a minimum. At a saddle write False; `CG` cannot serve there.
    rtol : float, optional
        The relative residual ``|H u - g| / |g|`` that the linear solve must reach. If not given, it is the solver's
        own; elimination is then taken as it comes, with its residual in the result, since in float32 or where H is
        ill-conditioned no solver reaches more than a multiple of the unit roundoff times ``|H| |u| / |g|``.
    inner_rtol : float
        How far from stationary w may be, as the solver sees it: ``|H^-1 d inner/dw| <= inner_rtol |w|``.
    map : callable
        What runs the solves of `Hypergradient.jacobian`, which are independent of one another, such as the ``map`` of
        an executor of `concurrent.futures` with threads.

    Raises
    ------
    InnerNotConverged
        If w is not stationary.
    NotConverged
        If the linear solve misses its tolerance, or its residual is NaN; a Neumann series that is proved to diverge is
        `NeumannDiverges`.
    NotAMinimiser
        If H has to be positive definite and is not.
    SelectionDependent, NoNearbySolution
        If H is singular, on floats to working precision, and the answer depends on how the inner problem was solved,
        or there is none. Where it does not depend on that, the value is returned with the flag ``PSEUDO_INVERSE``.
        Only `Dense` sees this; conjugate gradients and MINRES solve a consistent singular system without notice.
    InvalidInput
        If an option is not one of those listed, w or phi is not finite, or inner does not depend on phi.

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
    flat_w, unravel_w = ravel(w)
    flat_phi, unravel_phi = ravel(phi)
    if not (all_finite(flat_w) and all_finite(flat_phi)):
        raise InvalidInput("hypergradient: expected finite w and phi, got an infinite or NaN element")
    chosen = _chosen(solver, flat_w, definite, rtol)

    @wraps(inner)
    def inner_at(v: Array, p: Array) -> Array:
        return inner(unravel_w(v), unravel_phi(p))

    @wraps(outer)
    def outer_at(v: Array, p: Array) -> Array:
        return outer(unravel_w(v), unravel_phi(p))

    def slope_at(v: Array, p: Array) -> Array:
        return grad(inner_at)(v, p)

    g, direct = grad(outer_at, (0, 1))(flat_w, flat_phi)
    # run once; H v and B e push a tangent through the trace, and (H u, B^T u) pulls u back
    run = Run("hypergradient", slope_at, (flat_w, flat_phi))
    (slope,) = run.values
    if not run.depends_on(1):
        raise InvalidInput(
            "hypergradient: the gradient of inner by w does not depend on phi, so that its solution does not move with "
            "phi. A step size or an initial point acts by the way to the solution: differentiate through the steps, or "
            "add a proximal term with it to inner."
        )
    system = System(
        lambda v: run.push([v, None], check=False)[0],  # the pullback of u checks for changes
        flat_w,
        lambda: hessian(inner_at)(flat_w, flat_phi),
        definite=definite,
        what="hypergradient: the Hessian of inner",
    )
    solve, flags = _prepared(chosen, system, g, lambda: jacrev(lambda p: slope_at(flat_w, p))(flat_phi))
    u = solve(g)  # H u = g

    @cache
    def step() -> Array:
        return solve(slope).value

    # of H with a condition number of up to a million this is a proof that the Newton step is short
    plain = norm(g) > 0 and 1e6 * norm(u.value) / norm(g) * norm(slope) <= float(Fraction(inner_rtol)) * norm(flat_w)
    if (isinstance(chosen, Dense) or not plain) and not stationary(step(), flat_w, inner_rtol):
        raise InnerNotConverged(
            f"hypergradient: w is not stationary for inner: |d inner / d w| = {norm(slope):.3g}, and a Newton step "
            f"would move w by {norm(step()):.3g} where |w| = {norm(flat_w):.3g}. Solve the inner problem further, "
            f"or raise inner_rtol (now {inner_rtol:.3g}) if so rough an answer will do."
            + _swapped(inner_at, flat_w, flat_phi, norm(slope)),
            norm(step()),
        )
    if rtol is not None and not u.residual <= rtol:
        raise NotConverged(
            f"hypergradient: the solver left |H u - g| / |g| = {u.residual:.3g}, and {rtol:.3g} was asked for: the "
            "Hessian of inner is too ill-conditioned for this dtype, or the solver an approximation. Ask for less, or "
            "use float64."
        )
    indirect = run.pull([u.value])[1]  # B^T u
    value = direct - indirect  # eq: hypergradient

    def lagrangian(v: Array, p: Array) -> Array:
        return outer_at(v, p) - jvp(lambda x: inner_at(x, p), (v,), (u.value,))[1]

    def error() -> Tree:
        by_w, by_phi = jvp(lambda v: grad(lagrangian, (0, 1))(v, flat_phi), (flat_w,), (step(),))[1]
        return unravel_phi(by_phi - run.pull([solve(by_w).value])[1])  # eq: hypergradient-error

    def moved(direction: Array) -> Array:  # W e, from H W e + B e = 0
        return -solve(run.push([None, direction])[0]).value

    def second(direction: Array) -> Array:
        by_w, by_phi = jvp(grad(lagrangian, (0, 1)), (flat_w, flat_phi), (moved(direction), direction))[1]
        return by_phi - run.pull([solve(by_w).value])[1]  # eq: hypergradient-second

    if u.stopped is Stopped.TRUNCATED:
        flags |= Flags.APPROXIMATE
    return Hypergradient(
        unravel_phi(value),
        unravel_phi(direct),
        unravel_phi(indirect),
        u.value,
        u.residual,
        norm(slope),
        u.steps,
        u.stopped,
        flags,
        system.formed,
        step,
        error,
        moved,
        second,
        map,
    )


def _chosen(solver: str | Solver | None, w: Array, definite: bool, rtol: float | None) -> Solver:
    """The solver that an option names."""
    if solver is None:
        large = w.shape[0] > DENSE and definite and not of(primal(w)).exact
        solver = CG(preconditioner="diagonal", rtol=1e-10 if rtol is None else rtol) if large else Dense()
    chosen = named(solver, rtol, "hypergradient")
    if not definite and isinstance(chosen, CG):
        raise InvalidInput("hypergradient: conjugate gradients need a minimum; write solver='dense' at a saddle")
    return chosen


def _prepared(
    solver: Solver, system: System, g: Array, by_phi: Callable[[], Array]
) -> tuple[Callable[[Array], Solution], Flags]:
    """What solves with the Hessian, and what is to be said of it."""
    try:
        solve = solver.prepare(system)
        if isinstance(solver, Dense) and of(primal(g)).exact and not system.definite:
            solve(g)  # elimination in rationals sees only then whether there is a solution
    except IndefiniteHessian as error:
        inertia = inertia_of(system.formed())
        counted = "" if inertia is None else " Its eigenvalues: {} positive, {} negative, {} zero.".format(*inertia)
        raise NotAMinimiser(f"{error}{counted}", inertia) from error
    except SingularMatrix:
        if not isinstance(solver, Dense):
            raise
        return singular_system(system, g, by_phi()), Flags.PSEUDO_INVERSE
    return (solve if isinstance(solver, Dense) else _told(solve)), Flags.NONE


def _told(solve: Callable[[Array], Solution]) -> Callable[[Array], Solution]:
    """`solve`, with what conjugate gradients find out on the way as an error of the inner problem."""

    def solution(b: Array) -> Solution:
        try:
            return solve(b)
        except IndefiniteHessian as error:
            raise NotAMinimiser(f"hypergradient: {error}", None) from error

    return solution


def _swapped(inner_at: ScalarFunction, w: Array, phi: Array, slope: float) -> str:
    """A question, where inner is stationary in phi."""
    other = norm(grad(inner_at, 1)(w, phi))
    return " It is stationary in phi: are w and phi swapped?" if other <= 1e-6 * slope else ""


def stationary(step: Array, w: Array, inner_rtol: float) -> bool:
    """Whether a Newton step is short beside w."""
    # the second term lets w = 0 up to rounding pass, where no relative measure can
    return norm(step) <= float(Fraction(inner_rtol)) * norm(w) + 2.0**-52
