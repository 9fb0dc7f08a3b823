"""The derivative of the adapted parameters carried along with them, a column for each parameter of the start."""

import numpy as np


def subject(loss, theta, tasks, lr, steps):
    total = np.zeros_like(theta)
    for support, query in tasks:
        point, tangents = theta, np.eye(len(theta), dtype=theta.dtype)
        for _ in range(steps):
            moved = np.array([loss.hvp(point, support, row) for row in tangents])
            point, tangents = point - lr * loss.grad(point, support), tangents - lr * moved
        total += tangents @ loss.grad(point, query)
    return total / len(tasks)
