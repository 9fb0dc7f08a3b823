"""The direction by elimination on the Gram matrix of the rows that carry weight."""

import numpy as np
from scipy.optimize import nnls


def weights(J):
    size = abs(J).max() or 1.0
    x, _ = nnls(np.vstack([J.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return x / x.sum()


def subject(J):
    size = abs(J).max() or 1.0
    a = weights(J)
    J = J / size
    support = np.flatnonzero(a)
    system = np.ones((len(support) + 1, len(support) + 1))
    system[:-1, :-1] = J[support] @ J[support].T
    system[-1, -1] = 0
    try:
        found = np.linalg.solve(system, np.eye(len(system))[-1])[:-1]
    except np.linalg.LinAlgError:
        found = a[support]
    return size * (found @ J[support])
