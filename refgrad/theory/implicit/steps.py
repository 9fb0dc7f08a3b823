r"""Gradient descent on the inner loss, unrolled, and the fixed points of other maps.

:math:`k` steps of rate :math:`\alpha` from the solution :math:`w^*`, held fixed as the start, have the derivative of a
Neumann series of as many terms at :math:`w^*`, for any inner loss:

.. math:: \frac{d\,\mathrm{outer}(w_k, \phi)}{d\phi} = d - B^\top H^{-1} \bigl(I - (I - \alpha H)^k\bigr)\, g ,
   :label: descent-from-the-solution

since H and B do not change on the way: :math:`w_j = w^*`. Those of a quadratic inner loss change nowhere. So the same
holds *from every start*, with g and d at the end point,

.. math:: w_k = w^* + (I - \alpha H)^k (w_0 - w^*) .
   :label: descent-on-a-quadratic

The solution is a fixed point, :math:`w^* = \Phi(w^*, \phi)`, of many maps. With :math:`J = \partial_w \Phi` and
:math:`K = \partial_\phi \Phi`, the implicit function theorem for :math:`w - \Phi` is

.. math:: \nabla F = d + K^\top (I - J)^{-\top} g .
   :label: fixed-point-maps

Descent preconditioned by an invertible P has :math:`J = I - P H, K = -P B`, and P cancels. Momentum, on the pair
:math:`(w, v)` with :math:`v' = \beta v - \alpha \nabla_w\,\mathrm{inner}(w)` and :math:`w' = w + v'`, has

.. math:: J = \begin{pmatrix} I - \alpha H & \beta I \\ -\alpha H & \beta I \end{pmatrix}, \qquad
          K = \begin{pmatrix} -\alpha B \\ -\alpha B \end{pmatrix}
   :label: momentum-map

and the outer gradient :math:`(g, 0)`. J is not symmetric, so that its transpose counts; the value is the same. For
:math:`\alpha` and :math:`\beta` K is 0, where slope and v are: no implicit hypergradient can choose a step size.

>>> from refgrad import exact
>>> from refgrad.theory.implicit import fixed_point_hypergradient, momentum
>>> a = exact.asarray
>>> J, K = momentum(a([[2]]), a([[-1]]), lr=a("1/4"), beta=a("1/2"))  # inner is w^2 - phi w
>>> fixed_point_hypergradient(J, K, a([1, 0]), a([0]))  # of w* = phi / 2
ExactArray([1/2])

References
----------
Lorraine, Vicol and Duvenaud 2020, arXiv 1911.02590, theorem 2; Shaban, Cheng, Hatch and Boots 2019, arXiv 1810.10667.
"""

from __future__ import annotations

from refgrad.backend import of
from refgrad.contracts.implicit.adjoints import powers
from refgrad.contracts.implicit.bilevel import QuadraticBilevel
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["descent_from_the_solution", "descent_on_a_quadratic", "fixed_point_hypergradient", "momentum"]


def descent_from_the_solution(H: Array, B: Array, g: Array, d: Array, lr: Scalar, steps: int) -> Array:
    """The derivative through `steps` steps from the solution, shape (m,), equation (descent-from-the-solution).

    Parameters
    ----------
    H : array, shape (n, n)
        Symmetric and invertible.
    B : array, shape (n, m)
    g : array, shape (n,)
    d : array, shape (m,)
    lr : scalar
    steps : int
        From 0.
    """
    reached = g - powers(H, g, lr, steps + 1)[-1]
    return d - B.T @ checked_solve(H, reached)  # eq: descent-from-the-solution


def descent_on_a_quadratic(problem: QuadraticBilevel, w0: Array, phi: Array, lr: Scalar, steps: int) -> Array:
    """The derivative through `steps` steps from w0, shape (m,), equation (descent-on-a-quadratic).

    Parameters
    ----------
    problem : QuadraticBilevel
    w0 : array, shape (n,)
    phi : array, shape (m,)
    lr, steps : as in `descent_from_the_solution`
    """
    star = problem.solution(phi)
    end = star + powers(problem.H, w0 - star, lr, steps + 1)[-1]  # eq: descent-on-a-quadratic
    at = problem.derivatives(end, phi)
    return descent_from_the_solution(at.H, at.B, at.g, at.d, lr, steps)


def fixed_point_hypergradient(J: Array, K: Array, g: Array, d: Array) -> Array:
    """The hypergradient by the derivatives of a map that has the solution as its fixed point, shape (m,).

    Equation (fixed-point-maps).

    Parameters
    ----------
    J : array, shape (n, n)
        1 is none of its eigenvalues.
    K : array, shape (n, m)
    g : array, shape (n,)
    d : array, shape (m,)
    """
    return d + K.T @ checked_solve((identity(J) - J).T, g)  # eq: fixed-point-maps


def momentum(H: Array, B: Array, lr: Scalar, beta: Scalar) -> tuple[Array, Array]:
    """``(J, K)`` of a step with momentum on ``(w, v)``, shapes (2n, 2n) and (2n, m), equation (momentum-map).

    Parameters
    ----------
    H : array, shape (n, n)
    B : array, shape (n, m)
    lr, beta : scalars
    """
    join, unit, n = of(H).concat, identity(H), len(H)
    v = join([-lr * H, beta * unit, -lr * B], 1)  # of v' by w, v and phi
    both = join([v + join([unit, 0 * unit, 0 * B], 1), v], 0)  # eq: momentum-map
    return both[:, : 2 * n], both[:, 2 * n :]
