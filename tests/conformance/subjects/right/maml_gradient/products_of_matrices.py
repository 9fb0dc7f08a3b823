"""The Jacobians of all steps as matrices, multiplied together before the query gradient is."""

import numpy as np


def subject(loss, theta, tasks, lr, steps):
    units, answers = np.eye(len(theta)), []
    for support, query in tasks:
        point, product = theta, units
        for _ in range(steps):
            hessian = np.stack([loss.hvp(point, support, unit) for unit in units])
            product = product @ (units - lr * hessian)
            point = point - lr * loss.grad(point, support)
        answers.append(product @ loss.grad(point, query))
    return np.mean(answers, axis=0)
