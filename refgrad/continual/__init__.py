"""Continual learning: what the old data say about the parameters, and the penalty that keeps it.

>>> import numpy as np
>>> from refgrad.continual import ewc_penalty, fisher_diagonal
>>> X = np.array([[1.0, 0.0], [0.0, 2.0]])
>>> logits = lambda theta, X: X @ theta.reshape(2, 2)
>>> fisher = fisher_diagonal(logits, np.zeros(4), X)  # p = 1/2 everywhere: x_i^2 / 4, the mean over examples
>>> bool(abs(fisher - [0.125, 0.125, 0.5, 0.5]).max() < 1e-15)
True
>>> float(ewc_penalty(np.ones(4), np.zeros(4), np.array([0.125, 0.125, 0.5, 0.5]), 2.0))
1.25
"""

from __future__ import annotations

from refgrad.continual.ewc import ewc_penalty
from refgrad.continual.fisher import empirical_fisher_diagonal, fisher_diagonal

__all__ = ["empirical_fisher_diagonal", "ewc_penalty", "fisher_diagonal"]
