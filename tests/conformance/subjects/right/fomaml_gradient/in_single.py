"""Gradient descent in float32, and the mean of the query gradients where it ends."""

import numpy as np

DTYPE = "float32"


def subject(loss, theta, tasks, lr, steps):
    ends = []
    for support, query in tasks:
        point = theta.copy()
        for _ in range(steps):
            point -= np.float32(lr) * loss.grad(point, support)
        ends.append(loss.grad(point, query))
    return np.mean(ends, axis=0)
