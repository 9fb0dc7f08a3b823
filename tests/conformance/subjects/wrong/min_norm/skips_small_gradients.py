"""Gradients shorter than 1e-6 count as zero, and get equal weights."""

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    return weights(J) if np.sqrt((J * J).sum(axis=1)).max() > 1e-6 else np.full(len(J), 1 / len(J))
