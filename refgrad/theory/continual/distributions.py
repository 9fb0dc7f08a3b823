"""Fisher information of single distributions: the score of an observation, its derivative, and what they amount to.

With the score ``s(x) = d log p(x) / d phi`` in coordinates phi, the Fisher information is, in three ways,

    F = E[s s^T] = Cov(s) = -E[d s / d phi],

the expectation over x drawn from the distribution itself. In coordinates ``phi`` with ``theta = theta(phi)`` and
Jacobian ``J = d theta / d phi`` it is ``J^T F_theta J``. Each class is one distribution in one choice of coordinates,
*given by numbers in which everything is rational*: a Bernoulli distribution differentiated by its logit is given by
its probability. These numbers are arrays of shape (), exact ones or balls, or ints, Fractions and strings such as
``"1/3"``, which become exact. One observation, k coordinates: scores have shape (k,), matrices (k, k).

>>> GaussianByVariance(1, 2).information()
ExactArray([[1/2, 0],
            [0, 1/8]])

References
----------
Lehmann and Casella 1998, Theory of Point Estimation, section 2.5; Amari 2016, Information Geometry and Its
Applications.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any, Protocol

from refgrad.contracts.tools.assemble import identity, matrix, vector
from refgrad.exact import asarray
from refgrad.typing import Array, Scalar

__all__ = [
    "BernoulliByLogit", "BernoulliByProbability", "CategoricalByLogits", "CategoricalByProbabilities",
    "Distribution", "ExponentialByRate", "GaussianByDeviation", "GaussianByLogDeviation", "GaussianByVariance",
    "PoissonByLogRate", "PoissonByRate",
]  # fmt: skip


class Distribution(Protocol):
    """A distribution in k coordinates."""

    def score(self, x: Any) -> Array:
        """The derivatives of ``log p(x)`` by the coordinates, shape (k,)."""

    def score_derivative(self, x: Any) -> Array:
        """The Hessian of ``log p(x)`` by the coordinates, shape (k, k)."""

    def information(self) -> Array:
        """The Fisher information of one observation, shape (k, k)."""


class GivenByNumbers:
    """What turns ints, Fractions and strings among the fields of a dataclass, or lists of them, into exact arrays."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, (int, Fraction, str, list, tuple)):
                object.__setattr__(self, field.name, asarray(value))  # the dataclass is frozen


@dataclass(frozen=True)
class BernoulliByProbability(GivenByNumbers):
    """``p(x) = p^x (1 - p)^(1 - x)`` for x in {0, 1}, by p; F = 1 / (p (1 - p)).

    Attributes
    ----------
    p : scalar
    """

    p: Scalar

    def score(self, x: Any) -> Array:
        return vector([x / self.p - (1 - x) / (1 - self.p)])

    def score_derivative(self, x: Any) -> Array:
        return matrix(1, -x / self.p**2 - (1 - x) / (1 - self.p) ** 2)

    def information(self) -> Array:
        return matrix(1, 1 / (self.p * (1 - self.p)))


@dataclass(frozen=True)
class BernoulliByLogit(GivenByNumbers):
    """``log p(x) = x a - log(1 + exp a)`` by the logit a, given ``p = 1 / (1 + exp(-a))``; F = p (1 - p).

    Attributes
    ----------
    p : scalar
    """

    p: Scalar

    def score(self, x: Any) -> Array:
        return vector([x - self.p])

    def score_derivative(self, x: Any) -> Array:
        return matrix(1, -self.p * (1 - self.p))

    def information(self) -> Array:
        return matrix(1, self.p * (1 - self.p))


@dataclass(frozen=True)
class CategoricalByProbabilities(GivenByNumbers):
    """Labels x in 0 .. C-1 by ``p_0 .. p_{C-2}``, the last one being 1 minus their sum.

    ``F = diag(1 / p_c) + 1 1^T / p_{C-1}``, of order C - 1: the simplex has C - 1 dimensions.

    Attributes
    ----------
    p : array, shape (C,)
        All of them.
    """

    p: Array

    def score(self, x: int) -> Array:
        hit = identity(self.p)[x]
        return hit[:-1] / self.p[:-1] - hit[-1] / self.p[-1]

    def score_derivative(self, x: int) -> Array:
        hit = identity(self.p)[x]
        return -identity(self.p[:-1]) * (hit[:-1] / self.p[:-1] ** 2) - hit[-1] / self.p[-1] ** 2

    def information(self) -> Array:
        return identity(self.p[:-1]) / self.p[:-1] + 1 / self.p[-1]


@dataclass(frozen=True)
class CategoricalByLogits(GivenByNumbers):
    """``log p(x) = z_x - log sum_c exp z_c`` by z, given ``p = softmax(z)``; ``F = diag(p) - p p^T``.

    F is singular: a constant added to all logits changes nothing.

    Attributes
    ----------
    p : array, shape (C,)
    """

    p: Array

    def score(self, x: int) -> Array:
        return identity(self.p)[x] - self.p

    def score_derivative(self, x: int) -> Array:
        return -self.information()

    def information(self) -> Array:
        return identity(self.p) * self.p - self.p[:, None] * self.p


@dataclass(frozen=True)
class PoissonByRate(GivenByNumbers):
    """``log p(x) = x log rate - rate - log x!`` by the rate; F = 1 / rate.

    Attributes
    ----------
    rate : scalar
    """

    rate: Scalar

    def score(self, x: Any) -> Array:
        return vector([x / self.rate - 1])

    def score_derivative(self, x: Any) -> Array:
        return matrix(1, -x / self.rate**2)

    def information(self) -> Array:
        return matrix(1, 1 / self.rate)


@dataclass(frozen=True)
class PoissonByLogRate(GivenByNumbers):
    """``log p(x) = x a - exp a - log x!`` by ``a = log rate``, given the rate; F = rate.

    Attributes
    ----------
    rate : scalar
    """

    rate: Scalar

    def score(self, x: Any) -> Array:
        return vector([x - self.rate])

    def score_derivative(self, x: Any) -> Array:
        return matrix(1, -self.rate)

    def information(self) -> Array:
        return matrix(1, self.rate)


@dataclass(frozen=True)
class ExponentialByRate(GivenByNumbers):
    """``log p(x) = log rate - rate x`` for x >= 0 by the rate; F = 1 / rate^2.

    Attributes
    ----------
    rate : scalar
    """

    rate: Scalar

    def score(self, x: Any) -> Array:
        return vector([1 / self.rate - x])

    def score_derivative(self, x: Any) -> Array:
        return matrix(1, -1 / self.rate**2)

    def information(self) -> Array:
        return matrix(1, 1 / self.rate**2)


@dataclass(frozen=True)
class GaussianByDeviation(GivenByNumbers):
    """``log p(x) = -(x - mean)^2 / (2 s^2) - log s`` by (mean, s), s the standard deviation; F = diag(1, 2) / s^2.

    Attributes
    ----------
    mean, deviation : scalar
    """

    mean: Scalar
    deviation: Scalar

    def score(self, x: Any) -> Array:
        r, s = x - self.mean, self.deviation
        return vector([r / s**2, r**2 / s**3 - 1 / s])

    def score_derivative(self, x: Any) -> Array:
        r, s = x - self.mean, self.deviation
        return matrix(2, -1 / s**2, -2 * r / s**3, -2 * r / s**3, 1 / s**2 - 3 * r**2 / s**4)

    def information(self) -> Array:
        s = self.deviation
        return matrix(2, 1 / s**2, 0 * s, 0 * s, 2 / s**2)


@dataclass(frozen=True)
class GaussianByLogDeviation(GivenByNumbers):
    """The same by (mean, log s), given s; F = diag(1 / s^2, 2).

    Attributes
    ----------
    mean, deviation : scalar
    """

    mean: Scalar
    deviation: Scalar

    def score(self, x: Any) -> Array:
        r, s = x - self.mean, self.deviation
        return vector([r / s**2, r**2 / s**2 - 1])

    def score_derivative(self, x: Any) -> Array:
        r, s = x - self.mean, self.deviation
        return matrix(2, -1 / s**2, -2 * r / s**2, -2 * r / s**2, -2 * r**2 / s**2)

    def information(self) -> Array:
        s = self.deviation
        return matrix(2, 1 / s**2, 0 * s, 0 * s, 0 * s + 2)


@dataclass(frozen=True)
class GaussianByVariance(GivenByNumbers):
    """``log p(x) = -(x - mean)^2 / (2 v) - log(v) / 2`` by (mean, v); F = diag(1 / v, 1 / (2 v^2)).

    Attributes
    ----------
    mean, variance : scalar
    """

    mean: Scalar
    variance: Scalar

    def score(self, x: Any) -> Array:
        r, v = x - self.mean, self.variance
        return vector([r / v, r**2 / (2 * v**2) - 1 / (2 * v)])

    def score_derivative(self, x: Any) -> Array:
        r, v = x - self.mean, self.variance
        return matrix(2, -1 / v, -r / v**2, -r / v**2, 1 / (2 * v**2) - r**2 / v**3)

    def information(self) -> Array:
        v = self.variance
        return matrix(2, 1 / v, 0 * v, 0 * v, 1 / (2 * v**2))
