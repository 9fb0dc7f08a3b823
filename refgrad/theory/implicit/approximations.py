r"""By how much an approximate hypergradient is off, exactly.

A vector u in the place of :math:`H^{-1} g` leaves a residual, and that is all there is to its error:

.. math:: (d - B^\top u) - \nabla F = B^\top H^{-1} (g - H u) .
   :label: error-of-adjoint

A series of J terms leaves :math:`(I - \alpha H)^J g`, by equation (neumann-residual), and damping by :math:`\rho`
leaves :math:`\rho (H + \rho I)^{-1} g`:

.. math:: (H + \rho I)^{-1} g - H^{-1} g = -\rho H^{-1} (H + \rho I)^{-1} g .
   :label: damping-bias

The cross derivative :math:`B^\top u` as a central difference of gradients by phi, as in DARTS, has all odd derivatives
along u for its error, which ends with the degree of a polynomial: it is 0 up to the second, and one term up to the
fourth.

.. math:: \frac{\nabla_\phi(w + \epsilon u) - \nabla_\phi(w - \epsilon u)}{2 \epsilon} - B^\top u
          = \sum_{j \ge 1} \frac{\epsilon^{2j}}{(2j + 1)!}\, \partial_\phi D_w^{2j+1}\,\mathrm{inner}\,[u, \dots, u]
   :label: finite-difference-error

with :math:`\nabla_\phi(w) = \partial_\phi\,\mathrm{inner}(w, \phi)`.

>>> from refgrad import exact
>>> from refgrad.theory.implicit import damping_bias
>>> damping_bias(exact.asarray([[2]]), exact.asarray([1]), 2)  # 1/4 in the place of 1/2
ExactArray([-1/4])

References
----------
Pedregosa 2016, arXiv 1602.02355, theorem 2, bounds the first; Liu, Simonyan and Yang 2019, DARTS, arXiv 1806.09055,
eq. (8), is the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

from refgrad.contracts.tools.assemble import identity, total
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array, Scalar

__all__ = ["damping_bias", "error_of_adjoint", "finite_difference_error"]


def error_of_adjoint(H: Array, B: Array, g: Array, u: Array) -> Array:
    """``d - B^T u`` less the hypergradient, shape (m,), equation (error-of-adjoint).

    Parameters
    ----------
    H : array, shape (n, n)
        Symmetric and invertible.
    B : array, shape (n, m)
    g : array, shape (n,)
    u : array, shape (n,)
    """
    return B.T @ checked_solve(H, g - H @ u)  # eq: error-of-adjoint


def damping_bias(H: Array, g: Array, damping: Scalar) -> Array:
    """``(H + damping I)^{-1} g - H^{-1} g``, shape (n,), equation (damping-bias).

    Parameters
    ----------
    H : array, shape (n, n)
    g : array, shape (n,)
    damping : scalar
    """
    return -damping * checked_solve(H, checked_solve(H + damping * identity(H), g))  # eq: damping-bias


def finite_difference_error(derivatives: Sequence[Array], epsilon: Scalar) -> Array:
    """What the central difference is above ``B^T u``, shape (m,), equation (finite-difference-error).

    Parameters
    ----------
    derivatives : list of arrays
        The derivatives by phi of the third, fifth, ... derivative of inner along u, each of shape (m,).
    epsilon : scalar
    """
    orders = range(1, len(derivatives) + 1)
    terms = [epsilon ** (2 * j) / factorial(2 * j + 1) * D for j, D in zip(orders, derivatives, strict=True)]
    return total(terms)  # eq: finite-difference-error
