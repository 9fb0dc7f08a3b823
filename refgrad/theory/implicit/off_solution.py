r"""What the formula of the hypergradient means where the inner problem is not solved, and the second derivative.

At a w with the slope :math:`r = \nabla_w\,\mathrm{inner}(w, \phi)` the formula is the exact hypergradient of another
problem, of which w is a solution,

.. math:: \mathrm{inner}_r(v, \phi) = \mathrm{inner}(v, \phi) - r^\top v ,
   :label: tilted-problem

whose H and B are the same, with r held fixed as phi moves.

At a solution, with :math:`S = -H^{-1} B = dw^* / d\phi` and :math:`u = H^{-1} g` held fixed,

.. math:: \nabla^2 F = \begin{pmatrix} S \\ I \end{pmatrix}^{\!\top} \nabla^2_{(w, \phi)} \Lambda
          \begin{pmatrix} S \\ I \end{pmatrix}, \qquad \Lambda = \mathrm{outer} - u^\top \nabla_w\,\mathrm{inner} .
   :label: second-derivative-of-the-lagrangian

The second term of :math:`\Lambda` is the third derivative of the inner loss; who holds H and B fixed leaves it out.

>>> from refgrad import exact
>>> from refgrad.theory.implicit import second_hypergradient
>>> S, by_w, zero = exact.asarray([["1/2"]]), exact.asarray([[2]]), exact.asarray([[0]])
>>> second_hypergradient(S, by_w, zero, zero)  # of w^2 at w* = phi / 2: F is phi^2 / 4
ExactArray([[1/2]])

References
----------
Nocedal and Wright 2006, Numerical optimization, section 12.5, for the Lagrangian; Lorraine, Vicol and Duvenaud 2020,
arXiv 1911.02590, theorem 1.
"""

from __future__ import annotations

from collections.abc import Callable

from refgrad.typing import Array, Scalar

__all__ = ["second_hypergradient", "tilted"]


def tilted(inner: Callable[[Array, Array], Scalar], slope: Array) -> Callable[[Array, Array], Scalar]:
    """The inner loss that is stationary where `inner` has the given slope by w, equation (tilted-problem).

    Parameters
    ----------
    inner : callable
    slope : array
        Of shape (n,).
    """
    return lambda w, phi: inner(w, phi) - slope @ w  # eq: tilted-problem


def second_hypergradient(S: Array, by_w: Array, mixed: Array, by_phi: Array) -> Array:
    """The second derivative of F, shape (m, m), equation (second-derivative-of-the-lagrangian).

    Parameters
    ----------
    S : array, shape (n, m)
        ``dw / dphi``.
    by_w : array, shape (n, n)
        The second derivative of the Lagrangian by w.
    mixed : array, shape (n, m)
        ``mixed[i, k]`` is that by w_i and phi_k.
    by_phi : array, shape (m, m)
    """
    return S.T @ by_w @ S + S.T @ mixed + mixed.T @ S + by_phi  # eq: second-derivative-of-the-lagrangian
