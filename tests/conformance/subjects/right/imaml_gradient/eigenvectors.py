"""The Hessian diagonalised, and the query gradient damped along each of its eigenvectors."""

import numpy as np


def subject(loss, theta, adapted, tasks, lam):
    total = 0
    for point, (support, query) in zip(adapted, tasks, strict=True):
        hessian = np.array([loss.hvp(point, support, unit) for unit in np.eye(len(theta))])
        values, vectors = np.linalg.eigh((hessian + hessian.T) / 2)
        total = total + vectors @ ((vectors.T @ loss.grad(point, query)) / (1 + values / lam))
    return total / len(tasks)
