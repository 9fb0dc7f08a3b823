r"""Hypergradients of weights: of tasks, of examples, and of weights that are normalised.

With :math:`\mathrm{inner} = \ell_0 + \sum_k \phi_k \ell_k` and an outer loss without phi, all weights scaled together
weigh the auxiliary losses against the main one, and at the solution, where the slopes add up to zero,

.. math:: \phi \cdot \nabla F = \nabla \ell_0(w^*)^\top H^{-1} g .
   :label: radial-derivative

It is 0 without a main loss: then F is homogeneous of degree 0. With a single weight it is phi times the hypergradient,
a dual form by the main loss alone. At another w the two sides differ, by the slope of inner times :math:`H^{-1} g`: to
compare them tests convergence without the solution.

Ridge regression, ``1/2 |X w - y|^2 + mu/2 |w|^2`` as a *sum*, without example i has the solution

.. math:: w_{-i} = w^* + \frac{r_i}{1 - h_i} H^{-1} x_i, \qquad
          r_i = x_i^\top w^* - y_i, \quad h_i = x_i^\top H^{-1} x_i ,
   :label: leave-one-out

where the derivative by the weight of that example, a step of the whole length, leaves out the leverage :math:`h_i`.

Where :math:`\phi = \gamma v / |v|` is normalised and h the derivative by phi,

.. math:: \frac{dF}{d\gamma} = \frac{v^\top h}{|v|}, \qquad
          \frac{dF}{dv} = \frac{\gamma}{|v|} \Bigl(h - \frac{v^\top h}{|v|^2}\, v\Bigr) .
   :label: weight-norm

>>> from refgrad import exact
>>> from refgrad.theory.implicit import leave_one_out
>>> leave_one_out(exact.asarray([[1], [1]]), exact.asarray([1, 8]), 1, 1)  # 1/2 where both have 3
ExactArray([1/2])

References
----------
Cook and Weisberg 1982, Residuals and influence in regression; Salimans and Kingma 2016, Weight normalization, arXiv
1602.07868, eq. (3).
"""

from __future__ import annotations

from refgrad.backend import of
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["leave_one_out", "radial_derivative", "weight_norm_gradient"]


def radial_derivative(H: Array, main: Array, g: Array) -> Scalar:
    """``phi . dF / dphi`` for weights phi of auxiliary losses, shape (), equation (radial-derivative).

    Parameters
    ----------
    H : array, shape (n, n)
        Of all losses together; symmetric and invertible.
    main : array, shape (n,)
        The gradient of the main loss at the solution.
    g : array, shape (n,)
    """
    return main @ checked_solve(H, g)  # eq: radial-derivative


def leave_one_out(X: Array, y: Array, mu: Scalar, i: int) -> Array:
    """The solution of ridge regression without example i, shape (n,), from that with it: equation (leave-one-out).

    Parameters
    ----------
    X : array, shape (N, n)
    y : array, shape (N,)
    mu : scalar
    i : int
    """
    H = X.T @ X + mu * identity(X[0])
    w, direction = checked_solve(H, X.T @ y), checked_solve(H, X[i])
    return w + (X[i] @ w - y[i]) / (1 - X[i] @ direction) * direction  # eq: leave-one-out


def weight_norm_gradient(h: Array, gamma: Scalar, v: Array) -> tuple[Scalar, Array]:
    """``(dF / dgamma, dF / dv)``, shapes () and (m,), equation (weight-norm); of balls or floats, for the norm.

    Parameters
    ----------
    h : array, shape (m,)
    gamma : scalar
    v : array, shape (m,)
    """
    norm = of(v).sqrt(v @ v)
    along = v @ h / norm
    return along, gamma / norm * (h - along / norm * v)  # eq: weight-norm
