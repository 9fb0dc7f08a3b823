"""Generalised linear models: their losses with derivatives by hand, and their full Fisher matrices.

An example has ``eta_n = x_n . theta`` and the negative log-likelihood ``l(eta_n, y_n)``; the loss is its *mean* over
the batch, without terms free of theta. Everything else is one of three numbers for each example,

    grad = 1/N sum_n l'(eta_n, y_n) x_n,   Hessian = 1/N sum_n l''(eta_n, y_n) x_n x_n^T,
    F = 1/N sum_n I(eta_n) x_n x_n^T with I(eta) = E[l''] over the model's own labels.

Where eta is the natural parameter (canonical link), ``l''`` knows no label and the Hessian *is* the Fisher
information, whatever the data. `SquaredOdds` is the counterexample.

The functions that are given the means, `logistic_fisher` and the like, answer rational means with rational matrices.

References
----------
McCullagh and Nelder 1989, Generalized Linear Models, section 2.5; Martens 2020, New insights and perspectives on the
natural gradient method, arXiv 1412.1193; Kunstner, Balles and Hennig 2019, arXiv 1905.12558.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from refgrad.contracts.continual.logits import LinearLogits, softmax
from refgrad.contracts.tools.losses import Table
from refgrad.theory.continual.distributions import CategoricalByLogits
from refgrad.typing import Array, Scalar

__all__ = [
    "GeneralizedLinear", "LinearGaussian", "Logistic", "Poisson", "SoftmaxRegression", "SquaredOdds",
    "gaussian_empirical_fisher", "gaussian_fisher", "logistic_fisher", "poisson_fisher", "softmax_fisher",
]  # fmt: skip


def weighted_gram(X: Array, weights: Array) -> Array:
    """``1/N sum_n w_n x_n x_n^T``, shape (d, d), for weights of shape (N,)."""
    return X.T @ (weights[:, None] * X) / X.shape[0]


def gaussian_fisher(X: Array, variance: Scalar) -> Array:
    """``X^T X / (N variance)``, shape (d, d): the Fisher of ``y ~ N(x . theta, variance)``, mean over examples.

    Parameters
    ----------
    X : array, shape (N, d)
    variance : scalar
    """
    return X.T @ X / X.shape[0] / variance


def gaussian_empirical_fisher(X: Array, residuals: Array, variance: Scalar) -> Array:
    """``X^T diag(r^2) X / (N variance^2)``, shape (d, d), with ``r_n = x_n . theta - y_n``.

    It equals the true Fisher where every ``r_n^2`` is the variance, and is zero where the data are fitted.

    Parameters
    ----------
    X : array, shape (N, d)
    residuals : array, shape (N,)
        r.
    variance : scalar
    """
    return weighted_gram(X, residuals * residuals) / (variance * variance)


def logistic_fisher(X: Array, p: Array) -> Array:
    """``X^T diag(p (1 - p)) X / N``, shape (d, d), with ``p_n`` the probability of label 1.

    Parameters
    ----------
    X : array, shape (N, d)
    p : array, shape (N,)
    """
    return weighted_gram(X, p * (1 - p))


def poisson_fisher(X: Array, rates: Array) -> Array:
    """``X^T diag(rates) X / N``, shape (d, d), with ``log rate_n = x_n . theta``.

    Parameters
    ----------
    X : array, shape (N, d)
    rates : array, shape (N,)
    """
    return weighted_gram(X, rates)


def softmax_fisher(X: Array, p: Array) -> Array:
    """``1/N sum_n (x_n x_n^T) kron (diag p_n - p_n p_n^T)``, shape (d * C, d * C).

    In the order of `LinearLogits`: parameter ``i C + c`` joins input i and class c. A vector added to the columns of
    all classes alike changes nothing: ``F (v kron 1) = 0``, and the rank is ``(C - 1) rank(X)``.

    Parameters
    ----------
    X : array, shape (N, d)
    p : array, shape (N, C)
        Probabilities of the classes.
    """
    (N, d), C = X.shape, p.shape[1]
    total: Array = 0
    for x, row in zip(X, p, strict=True):
        total = total + (x[:, None] * x)[:, None, :, None] * CategoricalByLogits(row).information()[None, :, None, :]
    return total.reshape((d * C, d * C)) / N


class GeneralizedLinear(ABC):
    """``mean_n l(x_n . theta, y_n)``: the mean over the batch of a loss of one linear function of the parameters.

    Parameters
    ----------
    xp : Table
    """

    def __init__(self, xp: Table) -> None:
        self.xp = xp

    @abstractmethod
    def losses(self, eta: Array, y: Array) -> Array:
        """``l(eta_n, y_n)``, shape (N,)."""

    @abstractmethod
    def slopes(self, eta: Array, y: Array) -> Array:
        """The derivatives of `losses` by eta, shape (N,)."""

    @abstractmethod
    def curvatures(self, eta: Array, y: Array) -> Array:
        """The second derivatives of `losses` by eta, shape (N,)."""

    @abstractmethod
    def fisher(self, theta: Array, X: Array) -> Array:
        """The Fisher information, shape (d, d), mean over examples; it needs no labels."""

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        X, y = batch
        return self.xp.sum(self.losses(X @ theta, y)) / X.shape[0]

    def grad(self, theta: Array, batch: Any) -> Array:
        """``mean_n l'(eta_n, y_n) x_n``, shape (d,)."""
        X, y = batch
        return X.T @ self.slopes(X @ theta, y) / X.shape[0]

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n l''(eta_n, y_n) (x_n . v) x_n``, shape (d,)."""
        X, y = batch
        return X.T @ (self.curvatures(X @ theta, y) * (X @ v)) / X.shape[0]

    def grad_terms(self, theta: Array, batch: Any) -> Array:
        """``mean_n |l'(eta_n, y_n)| |x_n|``, shape (d,)."""
        X, y = batch
        return abs(X).T @ abs(self.slopes(X @ theta, y)) / X.shape[0]

    def hvp_terms(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n |l''(eta_n, y_n)| (|x_n| . |v|) |x_n|``, shape (d,)."""
        X, y = batch
        return abs(X).T @ (abs(self.curvatures(X @ theta, y)) * (abs(X) @ abs(v))) / X.shape[0]


class LinearGaussian(GeneralizedLinear):
    """``mean_n (x_n . theta - y_n)^2 / (2 variance)``: labels ``y_n ~ N(x_n . theta, variance)``.

    Parameters
    ----------
    xp : Table
    variance : number or array, shape ()
    """

    def __init__(self, xp: Table, variance: Scalar) -> None:
        super().__init__(xp)
        self.variance = variance

    def losses(self, eta: Array, y: Array) -> Array:
        return (eta - y) * (eta - y) / (2 * self.variance)

    def slopes(self, eta: Array, y: Array) -> Array:
        return (eta - y) / self.variance

    def curvatures(self, eta: Array, y: Array) -> Array:
        return (0 * eta + 1) / self.variance

    def fisher(self, theta: Array, X: Array) -> Array:
        return gaussian_fisher(X, self.variance)


class Logistic(GeneralizedLinear):
    """``mean_n log(1 + exp eta_n) - y_n eta_n``: labels 0 and 1, eta the logit of label 1.

    Parameters
    ----------
    xp : Table
    """

    def means(self, eta: Array) -> Array:
        """The probabilities of label 1, shape (N,)."""
        return 1 / (1 + self.xp.exp(-eta))

    def losses(self, eta: Array, y: Array) -> Array:
        return self.xp.log(1 + self.xp.exp(eta)) - y * eta

    def slopes(self, eta: Array, y: Array) -> Array:
        return self.means(eta) - y

    def curvatures(self, eta: Array, y: Array) -> Array:
        p = self.means(eta)
        return p * (1 - p)

    def fisher(self, theta: Array, X: Array) -> Array:
        return logistic_fisher(X, self.means(X @ theta))


class Poisson(GeneralizedLinear):
    """``mean_n exp(eta_n) - y_n eta_n``: counts y, eta the logarithm of the rate; ``log y_n!`` is left out.

    Parameters
    ----------
    xp : Table
    """

    def losses(self, eta: Array, y: Array) -> Array:
        return self.xp.exp(eta) - y * eta

    def slopes(self, eta: Array, y: Array) -> Array:
        return self.xp.exp(eta) - y

    def curvatures(self, eta: Array, y: Array) -> Array:
        return self.xp.exp(eta)

    def fisher(self, theta: Array, X: Array) -> Array:
        return poisson_fisher(X, self.xp.exp(X @ theta))


class SquaredOdds(GeneralizedLinear):
    """``mean_n log(1 + eta_n^2) - y_n log(eta_n^2)``: labels 0 and 1, ``p = eta^2 / (1 + eta^2)`` that of label 1.

    The link is not canonical: ``l'' = 2 (1 - eta^2) / (1 + eta^2)^2 + 2 y / eta^2`` depends on the label, and only
    its expectation is the information ``4 / (1 + eta^2)^2``. Derivatives and information are rational; eta must not
    be 0.

    Parameters
    ----------
    xp : Table
    """

    def losses(self, eta: Array, y: Array) -> Array:
        return self.xp.log(1 + eta * eta) - y * self.xp.log(eta * eta)

    def slopes(self, eta: Array, y: Array) -> Array:
        return 2 * eta / (1 + eta * eta) - 2 * y / eta

    def curvatures(self, eta: Array, y: Array) -> Array:
        square = eta * eta
        return 2 * (1 - square) / ((1 + square) * (1 + square)) + 2 * y / square

    def fisher(self, theta: Array, X: Array) -> Array:
        root = 2 / (1 + (X @ theta) * (X @ theta))
        return weighted_gram(X, root * root)


class SoftmaxRegression:
    """``mean_n log sum_c exp z_nc - z_{n, y_n}`` with ``z_n = x_n W``, ``W = reshape(theta, (d, C))``.

    Parameters
    ----------
    xp : Table
    classes : int
    """

    def __init__(self, xp: Table, classes: int) -> None:
        self.xp, self.logits = xp, LinearLogits(xp, classes)

    def __call__(self, theta: Array, batch: Any) -> Scalar:
        X, y = batch
        z = self.logits(theta, X)
        chosen = sum(z[n, y[n]] for n in range(X.shape[0]))
        shift = self.xp.amax(z, 1)
        e = self.xp.exp(z - self.xp.reshape(shift, (X.shape[0], 1)))
        return (self.xp.sum(self.xp.log(self.xp.sum(e, 1)) + shift) - chosen) / X.shape[0]

    def grad(self, theta: Array, batch: Any) -> Array:
        """``mean_n x_n kron (p_n - e_{y_n})``, shape (d * C,)."""
        return self.logits.grad(theta, batch)

    def hvp(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n x_n kron (diag p_n - p_n p_n^T) V^T x_n`` with ``V = reshape(v, (d, C))``, shape (d * C,)."""
        return self.logits.hvp(theta, batch, v)

    def grad_terms(self, theta: Array, batch: Any) -> Array:
        """``mean_n |x_n| kron |p_n - e_{y_n}|``, shape (d * C,)."""
        X, y = batch
        z = self.logits(theta, X)
        r = softmax(self.xp, z) - self.xp.onehot(y, self.logits.classes, z)
        return self.xp.reshape(abs(X).T @ abs(r), theta.shape) / X.shape[0]

    def hvp_terms(self, theta: Array, batch: Any, v: Array) -> Array:
        """``mean_n |x_n| kron (diag p_n + p_n p_n^T) |V|^T |x_n|``, shape (d * C,)."""
        X, _ = batch
        p = softmax(self.xp, self.logits(theta, X))
        u = self.logits(abs(v), abs(X))
        spread = p * (u + self.xp.reshape(self.xp.sum(p * u, 1), (X.shape[0], 1)))
        return self.xp.reshape(abs(X).T @ spread, theta.shape) / X.shape[0]

    def fisher(self, theta: Array, X: Array) -> Array:
        """The Fisher information, shape (d * C, d * C), mean over examples; it needs no labels."""
        return softmax_fisher(X, softmax(self.xp, self.logits(theta, X)))
