"""Squared gradients of the examples' cross-entropies, in float32."""

import numpy as np

DTYPE = "float32"


def subject(logits, theta, X, y):
    total = np.zeros_like(theta)
    for n in range(len(y)):
        total += np.square(logits.grad(theta, (X[n : n + 1], y[n : n + 1])))
    return total / np.float32(len(y))
