"""Common descent through a shared encoder: the exact direction, the cheap one, its check and its repair.

K losses depend on parameters theta through a representation ``z(theta)`` only. With ``z_k = dL_k / dz`` (row k of Z)
and the encoder's Jacobian ``Jf = dz / dtheta``, the gradients are ``g_k = Jf^T z_k``. A step ``theta - eta u`` changes
L_k by ``-eta <g_k, u>`` to first order: task k falls if and only if its *rate* ``<g_k, u>`` is positive.

Claim. MGDA-UB takes the weights a of the shortest ``d = sum a_k z_k`` and the direction ``u = Jf^T d``, one backward
pass for all tasks; from ``|sum a_k g_k| <= |Jf| |sum a_k z_k|`` and a Jacobian of full row rank it is concluded that
u decreases every loss unless theta is Pareto-stationary.

What happens. The rates are ``<z_k, M d>`` with ``M = Jf Jf^T``, while the weights only promise ``<z_k, d> >= |d|^2``.
M may turn d away from z_k: see `lemma`, and the networks of `encoder_examples` in which losses rise.

What is true. ``sum_k a_k <z_k, M d> = |u|^2``: unless u vanishes a task with weight falls, and of two tasks at most one
rises. With full row rank d vanishes exactly where theta is Pareto-stationary; without, not even that.

Check. One product with Jf^T and one with Jf give all K rates, ``Z (Jf u)``; no gradient of a single task is needed.

Repair. ``u = Jf^T M^{-1} d``, the Gauss-Newton step that moves the representation by d, has the rates ``<z_k, d>``.

References
----------
Sener and Koltun 2018, arXiv 1810.04650, section 3.3 (MGDA-UB), theorem 1 and its proof in appendix A; Desideri 2012 and
Fliege and Svaiter 2000, Steepest descent methods for multicriteria optimization, for the exact direction.
"""

from __future__ import annotations

from dataclasses import dataclass

from refgrad.contracts.multitask.min_norm import min_norm
from refgrad.contracts.tools.solve import checked_solve
from refgrad.typing import Array

__all__ = ["SharedEncoder", "Update"]


@dataclass(frozen=True)
class Update:
    """A direction u of the step ``theta - eta u``, and what it does to every task to first order.

    Attributes
    ----------
    weights : array, shape (K,)
        Non-negative, with sum 1.
    direction : array, shape (p,)
    rates : array, shape (K,)
        ``<g_k, u>``: how fast L_k falls, negative where it rises.
    """

    weights: Array
    direction: Array
    rates: Array

    @property
    def raised(self) -> list[int]:
        """The tasks whose loss rises to first order."""
        return [k for k, rate in enumerate(self.rates) if rate < 0]


@dataclass(frozen=True)
class SharedEncoder:
    """The gradients of K losses by a shared representation, and the encoder's Jacobian, at one theta.

    Attributes
    ----------
    Z : array, shape (K, q)
        Row k is the gradient of L_k by the representation, all samples of the batch end to end.
    jacobian : array, shape (q, p)
        Of the representation by the parameters.
    """

    Z: Array
    jacobian: Array

    @property
    def gradients(self) -> Array:
        """``g_k = Jf^T z_k`` by the parameters, shape (K, p)."""
        return self.Z @ self.jacobian

    @property
    def kernel(self) -> Array:
        """``M = Jf Jf^T``, shape (q, q): the encoder's tangent kernel on the batch."""
        return self.jacobian @ self.jacobian.T

    def rates(self, direction: Array) -> Array:
        """``<g_k, u>`` for every task, shape (K,), as ``Z (Jf u)``: one forward product, whatever K is."""
        return self.Z @ (self.jacobian @ direction)

    def exact(self) -> Update:
        """The shortest vector in the hull of the g_k: every rate is at least ``|u|^2``."""
        weights = min_norm(self.gradients).value
        return self.update(weights, self.gradients.T @ weights)

    def upper_bound(self) -> Update:
        """MGDA-UB: the weights of the shortest vector in the hull of the z_k, used on the g_k."""
        weights = min_norm(self.Z).value
        return self.update(weights, self.jacobian.T @ (self.Z.T @ weights))

    def gauss_newton(self) -> Update:
        """``Jf^T M^{-1} d`` with the weights of MGDA-UB: every rate is at least ``|d|^2``.

        Raises
        ------
        SingularMatrix
            If the Jacobian has not full row rank; then no step need move the representation by d.
        """
        weights = min_norm(self.Z).value
        return self.update(weights, self.jacobian.T @ checked_solve(self.kernel, self.Z.T @ weights))

    def update(self, weights: Array, direction: Array) -> Update:
        """A direction with its rates."""
        return Update(weights, direction, self.rates(direction))
