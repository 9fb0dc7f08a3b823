"""The best weights of which at most three are not zero."""

from itertools import combinations

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    found = [weights(J)]
    if np.count_nonzero(found[0]) > 3:
        found = []
        for rows in combinations(range(len(J)), 3):
            a = np.zeros(len(J))
            a[list(rows)] = weights(J[list(rows)])
            found.append(a)
    return min(found, key=lambda a: (a @ J) @ (a @ J))
