"""The rows that carry weight are right, their weights come from an explicit inverse of the Gram matrix."""

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    J = J / (abs(J).max() or 1.0)
    a = weights(J)
    support = np.flatnonzero(a)
    G = J[support] @ J[support].T
    if np.linalg.cond(G) > 1e15:
        return a
    a[support] = np.linalg.inv(G) @ np.ones(len(support))
    return a / a.sum()
