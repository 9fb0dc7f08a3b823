"""Diagonals of Fisher information matrices, by their definitions.

With ``p_n = softmax(z_n)`` and the score ``s_nc = d log p_nc / d theta = J_nc - sum_k p_nk J_nk``, the diagonals are

    true:       ``1/N sum_n sum_c p_nc s_nc^2``      the label is drawn from the model
    empirical:  ``1/N sum_n s_{n, y_n}^2``           the label is the one in the data

squares elementwise, per example, *mean* over examples. In their magnitudes ``|J_nc| + sum_k p_nk |J_nk|`` stands for
the score.

References
----------
Amari 1998, Natural gradient works efficiently in learning; Kunstner, Balles and Hennig 2019, Limitations of the
empirical Fisher approximation, arXiv 1905.12558, eqs. (2) and (3), with sums for means; Kirkpatrick et
al. 2017, arXiv 1612.00796.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.continual.logits import Logits
from refgrad.contracts.tools.answer import Answer
from refgrad.typing import Array

__all__ = ["Scores", "empirical_fisher_diagonal", "fisher_diagonal", "gaussian_fisher_diagonal", "scores"]


@dataclass(frozen=True)
class Scores:
    """What every diagonal is made of.

    Attributes
    ----------
    z, p : array, shape (N, C)
        Logits, which are rational where theta and X are, and probabilities.
    s, terms : array, shape (N, C, p)
        Scores, and the sums of the absolute values of their terms.
    y : array of int, shape (N,)
        The labels of the data.
    """

    z: Array
    p: Array
    s: Array
    terms: Array
    y: Any

    def of_labels(self, labels: Any) -> tuple[Array, Array]:
        """The scores at one label for each example, shape (N, p), and their terms."""
        rows = np.arange(len(labels))
        return self.s[rows, np.asarray(labels)], self.terms[rows, np.asarray(labels)]

    def weighted(self, weights: Array) -> Answer:
        """``1/N sum_nc w_nc s_nc^2``, shape (p,), for weights of shape (N, C)."""
        xp, w = of(self.s), weights[:, :, None]
        count = self.s.shape[0]
        value = xp.sum(w * self.s * self.s, (0, 1), False) / count
        return Answer(value, xp.sum(w * self.terms * self.terms, (0, 1), False) / count)


def scores(logits: Logits, theta: Array, X: Array, y: Any) -> Scores:
    """The scores of all examples and labels."""
    z, J = logits(theta, X), logits.jacobian(theta, X)
    xp = of(z)
    e = xp.exp(z - xp.amax(z, (1,), True))
    p = e / xp.sum(e, (1,), True)
    weights = p[:, :, None]
    s = J - xp.sum(weights * J, (1,), True)
    return Scores(z, p, s, abs(J) + xp.sum(weights * abs(J), (1,), True), y)


def fisher_diagonal(logits: Logits, theta: Array, X: Array, y: Any) -> Answer:
    """The diagonal of the true Fisher information, mean over examples, shape (p,). The labels `y` have no influence.

    Parameters
    ----------
    logits : Logits
    theta : array, shape (p,)
    X : array, shape (N, d)
    y : array of int, shape (N,)
    """
    found = scores(logits, theta, X, y)
    return found.weighted(found.p)


def empirical_fisher_diagonal(logits: Logits, theta: Array, X: Array, y: Any) -> Answer:
    """The mean over examples of the squared score of the example's own label, shape (p,)."""
    return mean_square(scores(logits, theta, X, y), lambda found: found.y)


def mean_square(found: Scores, labels: Callable[[Scores], Any]) -> Answer:
    """``1/N sum_n s_{n, l_n}^2`` for the labels l chosen."""
    s, terms = found.of_labels(labels(found))
    xp, count = of(s), s.shape[0]
    return Answer(xp.sum(s * s, (0,), False) / count, xp.sum(terms * terms, (0,), False) / count)


def gaussian_fisher_diagonal(X: Array, variance: Any) -> Answer:
    """``1/(N variance) sum_n x_n^2``, shape (d,): the Fisher of ``y ~ N(x . theta, variance)``, rational in X."""
    value = of(X).sum(X * X, (0,), False) / X.shape[0] / variance
    return Answer(value, value)
