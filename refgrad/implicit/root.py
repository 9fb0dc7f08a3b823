r"""Roots of equations as differentiable functions of what the equations depend on.

Problem: :math:`x^*(\theta)` with :math:`E(x^*, \theta) = 0`, found by any solver, which is not differentiated through.

Result, by the implicit function theorem, with :math:`A = \partial_x E` at the root, for tangents (dotted, of forward
mode) and cotangents (barred, of reverse mode):

.. math:: A \dot x = -\partial_\theta E\,\dot\theta, \qquad
          \bar\theta = -(\partial_\theta E)^\top u, \quad A^\top u = \bar x .
   :label: custom-root

Only a root and an invertible A are used; A is neither symmetric nor formed, unless the dense solver forms it.

Where this differs from ``jaxopt.implicit_diff.custom_root``: both modes exist, and derivatives of every order; the
linear solver is dense unless another is asked for, since the normal equations, jaxopt's choice, square the condition
number; what is no root is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from refgrad.autodiff import custom_rule, jvp, vjp
from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.several_results import check_captured
from refgrad.errors import NotConverged, ShapeError
from refgrad.implicit.hypergradient import stationary
from refgrad.linalg import all_finite, implicit_solve, norm
from refgrad.linalg.implicit_solve import LinearSolver, solve_with
from refgrad.tree import flatten, map, ravel
from refgrad.typing import Array, Tree

__all__ = ["custom_root", "fixed_point"]


def custom_root(
    equation: Callable[..., Tree],
    solver: Callable[..., Tree],
    *,
    linear_solver: LinearSolver = "dense",
    rtol: float | None = None,
    root_rtol: float = 1e-3,
) -> Callable[..., Tree]:
    """The function ``theta -> x*`` with ``equation(x*, *theta) = 0``, equation (custom-root).

    Parameters
    ----------
    equation : callable
        ``E(x, *theta)``, of the containers and shapes of x.
    solver : callable
        ``solver(*theta) -> x*``: any code, on plain arrays; n elements in all.
    linear_solver : {"dense", "cg"} or callable
        For the systems with A and its transpose: the solver of `refgrad.linalg.implicit_solve`.
    rtol : float, optional
        Its tolerance.
    root_rtol : float
        How far from a root x may be: ``|A^-1 E(x)| <= root_rtol |x|``, the length of a Newton step.

    Returns
    -------
    callable
        Of theta, trees of real arrays; everything else that the equation needs is taken from outside.

    Raises
    ------
    NotConverged
        By the function, if what the solver returns is not finite or no root, or the linear solver misses its tolerance.
    SingularMatrix
        If A is singular.
    ShapeError
        If the equation returns other containers than x.
    NoDerivative
        If the equation or the solver uses a traced value that is not among its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad
    >>> from refgrad.implicit import custom_root
    >>> root = custom_root(lambda x, a: x * x - a, np.sqrt)
    >>> float(root(4.0)), float(grad(root)(4.0)), float(grad(grad(root))(4.0))
    (2.0, 0.25, -0.03125)
    """
    options = (equation, linear_solver, rtol)
    root = partial(_root, solver, root_rtol, *options)
    vars(root).update(__name__="root", __qualname__=f"custom_root({name_of(equation)})", __doc__=None)
    # the rules are one another's transposes by construction, which tests on rationals confirm
    rules = {"jvp": partial(_push, *options), "vjp": partial(_pull, *options)}
    return custom_rule(**rules, check=False, by_example=True)(root)


def fixed_point(update: Callable[..., Tree], solver: Callable[..., Tree], **options: Any) -> Callable[..., Tree]:
    """The function ``theta -> x*`` with ``update(x*, *theta) = x*``: `custom_root` of their difference.

    An optimiser's step is such an update. At its fixed point all of gradient descent, whatever its step, with a
    preconditioner, or with momentum, have the same derivatives; of momentum ``I - A`` is not symmetric.

    Parameters
    ----------
    update : callable
        ``update(x, *theta)``, of the containers and shapes of x.
    solver : callable
        ``solver(*theta) -> x*``.
    **options : Any
        Those of `custom_root`.

    Returns
    -------
    callable

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad
    >>> from refgrad.implicit import fixed_point
    >>> root = fixed_point(lambda x, a: (x + a / x) / 2, np.sqrt)  # Heron's
    >>> float(grad(root)(4.0))
    0.25
    """

    def equation(x: Tree, *theta: Tree) -> Tree:
        return map(lambda a, b: a - b, x, update(x, *theta))

    return custom_root(equation, solver, **options)


def _root(
    solver: Callable[..., Tree],
    root_rtol: float,
    equation: Callable[..., Tree],
    linear_solver: LinearSolver,
    rtol: float | None,
    /,
    *theta: Tree,
) -> Tree:
    x = solver(*theta)
    _check_root(equation, x, theta, linear_solver, rtol, root_rtol, f"custom_root({name_of(equation)})")
    return x


def _push(
    equation: Callable[..., Tree],
    linear_solver: LinearSolver,
    rtol: float | None,
    x: Tree,
    theta: tuple[Tree, ...],
    moved: tuple[Tree, ...],
) -> Tree:
    def forward(v: Tree, x: Tree, *theta: Tree) -> Tree:
        return jvp(lambda z: equation(z, *theta), (x,), (v,))[1]

    change = jvp(lambda *p: equation(x, *p), theta, moved)[1]
    return implicit_solve(forward, _negative(change), x, *theta, solver=linear_solver, rtol=rtol)


def _pull(
    equation: Callable[..., Tree],
    linear_solver: LinearSolver,
    rtol: float | None,
    x: Tree,
    theta: tuple[Tree, ...],
    x_bar: Tree,
) -> tuple[Tree, ...]:
    def transpose(u: Tree, x: Tree, *theta: Tree) -> Tree:
        return vjp(lambda z: equation(z, *theta), x)[1](u)[0]

    u = implicit_solve(transpose, x_bar, x, *theta, solver=linear_solver, rtol=rtol)
    return vjp(lambda *p: equation(x, *p), *theta)[1](_negative(u))  # type: ignore[no-any-return]  # eq: custom-root


def _negative(x: Tree) -> Tree:
    return map(lambda leaf: -leaf, x)


def _check_root(
    equation: Callable[..., Tree],
    x: Tree,
    theta: tuple[Tree, ...],
    linear_solver: LinearSolver,
    rtol: float | None,
    root_rtol: float,
    what: str,
) -> None:
    """Raise unless a Newton step from x is short."""
    structure = flatten(x)[1]
    flat, unravel = ravel(x)
    if not all_finite(flat):
        raise NotConverged(f"{what}: the solver returned an infinite or NaN element")
    value = equation(x, *theta)
    leaves, its_structure = flatten(value)
    if its_structure != structure:
        raise ShapeError(f"{what}: expected equation(x) like x, {structure!r}; got {its_structure!r}")
    check_captured(leaves, flatten(theta)[0], what)

    def on_vectors(v: Array) -> Array:
        return ravel(jvp(lambda z: equation(z, *theta), (x,), (unravel(v),))[1])[0]

    rest = ravel(value)[0]
    step = solve_with(on_vectors, rest, linear_solver, rtol, f"{what}: the derivative of the equation").value
    if not stationary(step, flat, root_rtol):
        raise NotConverged(
            f"{what}: what the solver returned is no root: |E(x)| = {norm(rest):.3g}, and a Newton step would "
            f"move x by {norm(step):.3g} where |x| = {norm(flat):.3g}. Solve further, or raise root_rtol (now "
            f"{root_rtol:.3g}) if so rough an answer will do."
        )
