"""The Hessian as a matrix, and elimination."""

import numpy as np


def subject(loss, theta, adapted, tasks, lam):
    total, units = 0, np.eye(len(theta))
    for point, (support, query) in zip(adapted, tasks, strict=True):
        hessian = np.array([loss.hvp(point, support, unit) for unit in units])
        total = total + np.linalg.solve(units + hessian / lam, loss.grad(point, query))
    return total / len(tasks)
