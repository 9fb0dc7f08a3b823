r"""Solutions of linear systems given by an operator, with derivatives through it.

Problem: :math:`x(b, \theta)` with :math:`A(\theta)\,x = b`, where A is known by what it does to vectors.

Result, for tangents (dotted) and cotangents (barred):

.. math:: A \dot x = \dot b - \dot A x, \qquad A^\top \bar b = \bar x, \qquad
          \bar\theta = -(\partial_\theta (A x))^\top \bar b .
   :label: implicit-solve

The first two are systems with the same operator or its transpose, so they are written with `implicit_solve` itself and
exist to any order; the solver is never differentiated through.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from refgrad.autodiff import custom_rule, jacrev, jvp, vjp
from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.core import primal
from refgrad.autodiff.several_results import check_captured
from refgrad.backend import of
from refgrad.errors import InvalidInput, NotConverged, ShapeError
from refgrad.linalg.cg import Solution
from refgrad.linalg.named import named
from refgrad.linalg.norms import norm, relative_residual
from refgrad.linalg.solvers import Dense, Solver, System
from refgrad.linalg.stop import Stopped
from refgrad.numpy import zeros_like
from refgrad.tree import flatten, map, ravel
from refgrad.typing import Array, Tree

__all__ = ["LinearSolver", "implicit_solve", "solve_with"]

LinearSolver = str | Solver | Callable[[Callable[[Array], Array], Array], Array]
"""A solver, its name, or ``(operator, b) -> x`` on vectors; it gets plain arrays only, and the transpose as well."""


def implicit_solve(
    operator: Callable[..., Tree],
    b: Tree,
    *args: Tree,
    solver: LinearSolver = "dense",
    rtol: float | None = None,
) -> Tree:
    """The x with ``operator(x, *args) = b``, equation (implicit-solve).

    Parameters
    ----------
    operator : callable
        ``(v, *args) -> A v``, linear in v, of the containers and shapes of v.
    b : tree
        n elements in all.
    *args : trees
        Of real arrays: what the operator depends on and is differentiated by. Constants and labels may be taken from
        outside.
    solver : Solver, str or callable
        An object of `refgrad.linalg`, or a name: ``"dense"`` forms A, of shape (n, n), and eliminates; ``"cg"`` uses
        products alone, for symmetric positive definite A; ``"minres"``, ``"gmres"``, ``"identity"``. A callable takes
        an operator on vectors of shape (n,) and the right-hand side.
    rtol : float, optional
        The relative residual ``|A x - b| / |b|`` that must be reached. If not given, it is the solver's own;
        elimination and approximations by choice are taken as they come, and a callable must reach 1e-10.

    Returns
    -------
    tree
        As b. Inside `vmap` the examples are solved one after the other.

    Raises
    ------
    SingularMatrix
        If A is singular, on floats to working precision, and the solver is dense.
    NotConverged
        If the residual misses the tolerance or is NaN.
    IndefiniteHessian
        If conjugate gradients meet a direction of negative curvature.
    ShapeError
        If the operator returns other containers or shapes than it is given.
    InvalidInput
        If the operator is not linear in v, and the solver is dense: at the solution it is not what A says.
    NoDerivative
        If the operator uses a traced value that is not among its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad
    >>> from refgrad.linalg import implicit_solve
    >>> ridge = lambda v, lam: 2 * v + lam * v  # x = b / (2 + lam)
    >>> float(grad(lambda lam: implicit_solve(ridge, np.array([4.0]), lam)[0])(2.0))  # -4 / (2 + lam)^2
    -0.25
    """

    def push(x: Tree, xs: tuple[Tree, ...], ts: tuple[Tree, ...]) -> Tree:
        change = jvp(lambda *a: operator(x, *a), xs[1:], ts[1:])[1]
        moved = map(lambda db, c: db - c, ts[0], change)
        return implicit_solve(operator, moved, *xs[1:], solver=solver, rtol=rtol)  # eq: implicit-solve

    def pull(x: Tree, xs: tuple[Tree, ...], u: Tree) -> tuple[Tree, ...]:
        def transpose(w: Tree, *a: Tree) -> Tree:
            return vjp(lambda v: operator(v, *a), map(zeros_like, w))[1](w)[0]

        bbar = implicit_solve(transpose, u, *xs[1:], solver=solver, rtol=rtol)
        pullback = vjp(lambda *a: operator(x, *a), *xs[1:])[1]
        return bbar, *pullback(map(lambda leaf: -leaf, bbar))

    def solution(b: Tree, *args: Tree) -> Tree:
        _, structure = flatten(b)
        vector, unravel = ravel(b)

        def on_vectors(v: Array) -> Array:
            image = operator(unravel(v), *args)
            leaves, its_structure = flatten(image)
            if its_structure != structure:
                raise ShapeError(f"{name}: expected operator(v) like v, {structure!r}; got {its_structure!r}")
            check_captured(leaves, [v, *flatten(args)[0]], name)
            return ravel(image)[0]

        return unravel(solve_with(on_vectors, vector, solver, rtol, name).value)

    solution.__qualname__ = name = f"implicit_solve({name_of(operator)})"
    # the rules are one another's transposes by construction, which tests on rationals confirm
    return custom_rule(jvp=push, vjp=pull, check=False, by_example=True)(solution)(b, *args)


def solve_with(
    operator: Callable[[Array], Array], b: Array, solver: LinearSolver, rtol: float | None, what: str
) -> Solution:
    """The solution of ``operator(x) = b`` on vectors, with its certificate; see `implicit_solve`."""
    if callable(solver):
        x = solver(operator, b)
        found = Solution(x, relative_residual(operator(x), b), 0, Stopped.SOLVER)
        rtol = 1e-10 if rtol is None else rtol
    else:
        chosen = named(solver, rtol, what)
        matrix = None
        if isinstance(chosen, Dense):
            matrix = jacrev(operator)(b)
            if matrix.shape != (b.shape[0], b.shape[0]):
                raise ShapeError(
                    f"{what}: expected as many equations as unknowns, got a matrix of shape {matrix.shape}"
                )
        system = System(operator, b, lambda: matrix, symmetric=False, what=f"{what}: the operator")
        found = chosen.prepare(system if matrix is not None else replace(system, matrix=None))(b)
        if matrix is not None:
            _require_linear(operator, matrix, found.value, what)
    if rtol is not None and not found.residual <= rtol:
        raise NotConverged(
            f"{what}: the solver left |A x - b| / |b| = {found.residual:.3g}, and {rtol:.3g} was asked for. Solve "
            "further, ask for less, or use float64."
        )
    return found


def _require_linear(operator: Callable[[Array], Array], matrix: Array, x: Array, what: str) -> None:
    """Raise if the operator does to x something else than its derivative, `matrix`; of balls that is not asked."""
    if of(primal(x)).name == "ball":
        return
    # beside |A| |x|, next to which the rounding of a sound operator is small however ill-conditioned A is
    apart, size = norm(operator(x) - matrix @ x), norm(abs(matrix) @ abs(x))
    if apart > size / 1000:
        raise InvalidInput(
            f"{what}: expected an operator that is linear in its first argument; at the solution x it differs from its "
            f"derivative times x by {apart:.3g}, where |A| |x| = {size:.3g}. Constants belong to the right-hand side; "
            "nonlinear equations are for refgrad.implicit.custom_root."
        )
