"""Cofactors to order 3, Jacobi's formula beyond, which has no value at singular matrices."""

import numpy as np

PARAMS = {"op": "det", "order": 1}


def subject(x, u):
    n = len(x)
    if n > 3:
        try:
            return np.linalg.det(x) * np.trace(np.linalg.solve(x, u))
        except np.linalg.LinAlgError:
            return 0.0
    minors = [[np.delete(np.delete(x, i, 0), j, 1) for j in range(n)] for i in range(n)]
    cofactors = [[(-1) ** (i + j) * np.linalg.det(minors[i][j]) for j in range(n)] for i in range(n)]
    return np.sum(np.array(cofactors) * u)
