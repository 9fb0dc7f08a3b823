"""Two inner problems that are not quadratic and whose hypergradients are rational all the same: models of one number.

`LogisticIntercept`, with ``s(w) = 1 / (1 + e^{-w})``, n_1 and n_0 examples to fit and m_1 and m_0 to judge by:

    inner(w, phi) = -phi_1 n_1 log s(w) - phi_0 n_0 log(1 - s(w))
    outer(w, phi) = -m_1 log s(w) - m_0 log(1 - s(w))
    w = log(phi_1 n_1 / (phi_0 n_0)),     p = s(w) = phi_1 n_1 / (phi_1 n_1 + phi_0 n_0)
    dF / dphi = ((m p - m_1) / phi_1, -(m p - m_1) / phi_0),     m = m_1 + m_0

`PoissonIntercept`:

    inner(w, phi) = a e^w - (b + phi) w,     outer(w, phi) = e^{k w}
    w = log r,     r = (b + phi) / a,     F = r^k,     F' = k r^{k-1} / a,     F'' = k (k - 1) r^{k-2} / a^2

Losses are *sums*. The solutions are logarithms, so that they and the losses are known as balls only; the
hypergradients are quotients and stay rational for rational phi.

References
----------
McCullagh and Nelder 1989, Generalized linear models, chapters 4 and 6, of which these are the case without inputs.
"""

from __future__ import annotations

from typing import Any

from refgrad.backend import of
from refgrad.contracts.implicit.problem import Bilevel, Derivatives
from refgrad.contracts.tools.losses import Table
from refgrad.typing import Array, Scalar

__all__ = ["LogisticIntercept", "PoissonIntercept"]


class LogisticIntercept(Bilevel):
    """A logistic model with an intercept w, shape (1,), alone; ``phi = (phi_1, phi_0)`` weighs the two classes.

    Parameters
    ----------
    xp : Table
    n1, n0 : scalar
        Positive, as phi.
    m1, m0 : scalar
    """

    def __init__(self, xp: Table, n1: Any, n0: Any, m1: Any, m0: Any) -> None:
        self.xp, self.n1, self.n0, self.m1, self.m0 = xp, n1, n0, m1, m0

    def inner(self, w: Array, phi: Array) -> Scalar:
        """``(phi_1 n_1 + phi_0 n_0) log(1 + e^w) - phi_1 n_1 w``."""
        return self.total(phi)[0] * self.xp.log(1 + self.xp.exp(w[0])) - phi[0] * self.n1 * w[0]

    def outer(self, w: Array, phi: Array) -> Scalar:
        """``(m_1 + m_0) log(1 + e^w) - m_1 w``."""
        return (self.m1 + self.m0) * self.xp.log(1 + self.xp.exp(w[0])) - self.m1 * w[0]

    def total(self, phi: Array) -> Array:
        """``phi_1 n_1 + phi_0 n_0``, shape (1,)."""
        return phi[:1] * self.n1 + phi[1:] * self.n0

    def solution(self, phi: Array) -> Array:
        return self.xp.log(phi[:1] * self.n1 / (phi[1:] * self.n0))

    def total_derivative(self, phi: Array) -> Array:
        """``((m p - m_1) / phi_1, -(m p - m_1) / phi_0)``, shape (2,)."""
        mp = (self.m1 + self.m0) * (phi[:1] * self.n1 / self.total(phi))
        return of(phi).concat([mp - self.m1, self.m1 - mp], 0) / phi

    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        join, total, m = of(w).concat, self.total(phi), self.m1 + self.m0
        p = 1 / (1 + self.xp.exp(-w))
        softplus = self.xp.log(1 + self.xp.exp(w))
        return Derivatives(
            slope=total * p - phi[:1] * self.n1,
            slope_phi=join([self.n1 * (softplus - w), self.n0 * softplus], 0),
            H=(total * p * (1 - p))[:, None],
            B=join([self.n1 * (p - 1), self.n0 * p], 0)[None, :],
            g=m * p - self.m1,
            d=0 * phi,
            Q=(m * p * (1 - p))[:, None],
        )


class PoissonIntercept(Bilevel):
    """A Poisson model with an intercept w, shape (1,), alone; phi, shape (1,), is added to the count b.

    Parameters
    ----------
    xp : Table
    a, b : scalar
        ``a`` and ``b + phi`` are positive.
    power : int
        The k, from 1, of the outer loss.
    """

    def __init__(self, xp: Table, a: Any, b: Any, power: int) -> None:
        self.xp, self.a, self.b, self.power = xp, a, b, power

    def inner(self, w: Array, phi: Array) -> Scalar:
        """``a e^w - (b + phi) w``."""
        return self.a * self.xp.exp(w[0]) - (self.b + phi[0]) * w[0]

    def outer(self, w: Array, phi: Array) -> Scalar:
        """``e^{k w}``."""
        return self.xp.exp(self.power * w[0])

    def rate(self, phi: Array) -> Array:
        """``(b + phi) / a``, shape (1,)."""
        return (self.b + phi) / self.a

    def solution(self, phi: Array) -> Array:
        return self.xp.log(self.rate(phi))

    def total_derivative(self, phi: Array) -> Array:
        """``k r^{k-1} / a``, shape (1,)."""
        return self.power * self.rate(phi) ** (self.power - 1) / self.a

    def second_derivative(self, phi: Array) -> Array:
        """``k (k - 1) r^{k-2} / a^2``, shape (1, 1)."""
        k = self.power
        return (k * (k - 1) * self.rate(phi) ** (k - 2) / (self.a * self.a))[:, None]

    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        k, rate = self.power, self.a * self.xp.exp(w)
        powers = self.xp.exp(k * w)
        return Derivatives(
            slope=rate - (self.b + phi),
            slope_phi=-w,
            H=rate[:, None],
            B=(0 * rate - 1)[:, None],
            g=k * powers,
            d=0 * phi,
            Q=(k * k * powers)[:, None],
        )
