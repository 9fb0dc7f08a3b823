"""The min-norm direction from its dual: the shortest u with <g_k, u> >= 1 for all k, turned into its inverse."""

import numpy as np
from scipy.optimize import nnls


def subject(J):
    size = abs(J).max() or 1.0
    J = J / size
    x, _ = nnls(np.vstack([J.T, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    # with y >= 0 the multipliers, u = J^T y, and v = u / |u|^2 = J^T y / sum y; the sum of y is 1 / |v|^2
    y = x / (1 - x.sum()) if x.sum() < 1 - 1e-6 else x
    return size * (J.T @ y) / y.sum()
