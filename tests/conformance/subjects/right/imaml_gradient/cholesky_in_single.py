"""A Cholesky factorisation of H + lam I, and lam times the solution; in float32."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

DTYPE = "float32"


def subject(loss, theta, adapted, tasks, lam):
    answers, units = [], np.eye(len(theta), dtype=theta.dtype)
    for point, (support, query) in zip(adapted, tasks, strict=True):
        hessian = np.array([loss.hvp(point, support, unit) for unit in units])
        factor = cho_factor((hessian + hessian.T) / 2 + np.float32(lam) * units)
        answers.append(np.float32(lam) * cho_solve(factor, loss.grad(point, query)))
    return np.mean(answers, axis=0)
