"""A ridge of 1e-10 times the largest squared norm in the Gram matrix."""

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    size = np.sqrt((J * J).sum(axis=1).max() or 1.0)
    return weights(np.hstack([J, 1e-5 * size * np.eye(len(J))]))
