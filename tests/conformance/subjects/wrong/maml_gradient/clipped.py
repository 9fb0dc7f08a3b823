"""Elements of the gradient are clipped at 1000."""

import numpy as np
from formulas import adjoint


def subject(loss, theta, tasks, lr, steps):
    gradients = [adjoint(loss, theta, support, query, lr, steps) for support, query in tasks]
    return np.clip(sum(gradients) / len(tasks), -1e3, 1e3)
