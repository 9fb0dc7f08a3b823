"""By cofactors, each the determinant of a minor: right where x has no inverse."""

import numpy as np

PARAMS = {"op": "det", "order": 1}


def subject(x, u):
    n = len(x)
    total = 0.0
    for i in range(n):
        for j in range(n):
            minor = np.delete(np.delete(x, i, 0), j, 1)
            total += u[i, j] * (-1) ** (i + j) * (np.linalg.det(minor) if n > 1 else 1.0)
    return total
