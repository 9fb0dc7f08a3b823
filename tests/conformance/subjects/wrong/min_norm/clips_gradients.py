"""Gradients clipped at 1e5 first."""

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    return weights(np.clip(J, -1e5, 1e5))
