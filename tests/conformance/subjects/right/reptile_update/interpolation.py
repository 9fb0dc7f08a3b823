"""The mean of the adapted parameters, interpolated with the start; in float32."""

import numpy as np

DTYPE = "float32"


def subject(loss, theta, tasks, lr, epsilon):
    ends = []
    for batches in tasks:
        point = theta
        for batch in batches:
            point = point - lr * loss.grad(point, batch)
        ends.append(point)
    return (1 - epsilon) * theta + epsilon * np.mean(ends, axis=0)
