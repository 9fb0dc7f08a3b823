"""What every bilevel problem answers: two losses, the inner solution, the hypergradient, derivatives.

With w(phi) the point where ``inner(., phi)`` is stationary and ``F(phi) = outer(w(phi), phi)``,

    dF / dphi = d - B^T u,     H u = g,

in the symbols of `Derivatives`. Each problem gives dF/dphi in its own closed form, which has to agree.

References
----------
Bengio 2000, Gradient-based optimization of hyperparameters; Pedregosa 2016, arXiv 1602.02355; Lorraine, Vicol and
Duvenaud 2020, arXiv 1911.02590, theorem 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from refgrad.contracts.tools.answer import Answer
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array, Scalar

__all__ = ["Bilevel", "Derivatives"]


@dataclass(frozen=True)
class Derivatives:
    """The first and second derivatives of both losses at one point (w, phi), by hand.

    Attributes
    ----------
    slope : array, shape (n,)
        d inner / dw, zero at a solution.
    slope_phi : array, shape (m,)
        d inner / dphi.
    H : array, shape (n, n)
        d^2 inner / dw^2.
    B : array, shape (n, m)
        ``B[i, k] = d^2 inner / (dw_i dphi_k)``.
    g : array, shape (n,)
        d outer / dw.
    d : array, shape (m,)
        d outer / dphi at fixed w, the direct term.
    Q : array, shape (n, n)
        d^2 outer / dw^2.
    """

    slope: Array
    slope_phi: Array
    H: Array
    B: Array
    g: Array
    d: Array
    Q: Array


class Bilevel(ABC):
    """An inner loss, an outer loss, and what is known of them in closed form.

    Both losses are plain functions of arrays of any library. The data of a problem are of one kind with the arguments:
    rationals, or balls where a function is not rational.
    """

    @abstractmethod
    def inner(self, w: Array, phi: Array) -> Scalar:
        """The loss that w is a stationary point of."""

    @abstractmethod
    def outer(self, w: Array, phi: Array) -> Scalar:
        """The loss whose derivative by phi, through w and directly, is asked for."""

    @abstractmethod
    def solution(self, phi: Array) -> Array:
        """The w that makes `inner` stationary, shape (n,)."""

    @abstractmethod
    def total_derivative(self, phi: Array) -> Array:
        """``d outer(solution(phi), phi) / dphi``, shape (m,), in closed form."""

    def hypergradient(self, phi: Array) -> Answer:
        """`total_derivative` with its magnitude."""
        return measured(type(self).total_derivative)(self, phi)

    @abstractmethod
    def derivatives(self, w: Array, phi: Array) -> Derivatives:
        """The derivatives of both losses at any point, a solution or not."""

    def inner_grad(self, w: Array, phi: Array) -> Array:
        """d inner / dw, shape (n,)."""
        return self.derivatives(w, phi).slope

    def inner_hvp(self, w: Array, phi: Array, v: Array) -> Array:
        """``H v``, shape (n,)."""
        return self.derivatives(w, phi).H @ v

    def mixed(self, w: Array, phi: Array, u: Array) -> Array:
        """``B^T u``, shape (m,): the derivative by phi of ``<d inner / dw, u>`` with u held fixed."""
        return self.derivatives(w, phi).B.T @ u
