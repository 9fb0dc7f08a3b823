"""No adapted parameters are subtracted: the inner gradients of all tasks are added up, and one step is made."""

import numpy as np


def subject(loss, theta, tasks, lr, epsilon):
    direction = np.zeros_like(theta)
    for batches in tasks:
        point = theta.copy()
        for batch in batches:
            g = loss.grad(point, batch)
            direction += g
            point -= lr * g
    return theta - (epsilon * lr / len(tasks)) * direction
