"""By an orthogonal factorization of a."""

import numpy as np
from scipy.linalg import solve_triangular

PARAMS = {"op": "solve", "order": 1}


def subject(x, u):
    (a, b), (u_a, u_b) = x, u
    Q, R = np.linalg.qr(a)
    y = solve_triangular(R, Q.T @ b)
    return solve_triangular(R, Q.T @ (u_b - u_a @ y))
