"""Zero where the direction is shorter than a hundredth of the gradients."""

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    d = weights(J) @ J
    return d if d @ d > 1e-4 * (J * J).sum(axis=1).max() else 0 * d
