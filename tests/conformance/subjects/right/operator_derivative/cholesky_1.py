"""Column by column, differentiated as it stands."""

import numpy as np

PARAMS = {"op": "cholesky", "order": 1}


def subject(x, u):
    n = len(x)
    L, D = np.zeros((n, n)), np.zeros((n, n))
    for j in range(n):
        L[j, j] = np.sqrt(x[j, j] - L[j, :j] @ L[j, :j])
        D[j, j] = (u[j, j] - 2 * L[j, :j] @ D[j, :j]) / (2 * L[j, j])
        for i in range(j + 1, n):
            L[i, j] = (x[i, j] - L[i, :j] @ L[j, :j]) / L[j, j]
            D[i, j] = (u[i, j] - D[i, :j] @ L[j, :j] - L[i, :j] @ D[j, :j] - L[i, j] * D[j, j]) / L[j, j]
    return D
