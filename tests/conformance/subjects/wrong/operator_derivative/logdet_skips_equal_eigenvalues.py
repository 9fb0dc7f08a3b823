"""By eigenvalues, without the terms of those that are equal."""

import numpy as np

PARAMS = {"op": "logdet", "order": 2}


def subject(x, u, v):
    values, Q = np.linalg.eigh(x)
    a, b = Q.T @ u @ Q, Q.T @ v @ Q
    total = -np.sum(np.diag(a) * np.diag(b) / values**2)
    for i, left in enumerate(values):
        for j, right in enumerate(values):
            if i != j and abs(left - right) > 1e-10 * values[-1]:
                total += 2 * a[i, j] * b[i, j] / left / (left - right)
    return total
