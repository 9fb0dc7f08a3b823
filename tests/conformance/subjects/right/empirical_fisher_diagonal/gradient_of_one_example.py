"""The gradient of each example's cross-entropy by hand, p - e_y pulled back, squared and averaged."""

import numpy as np


def subject(logits, theta, X, y):
    squares = [logits.grad(theta, (X[n : n + 1], y[n : n + 1])) ** 2 for n in range(len(y))]
    return np.mean(squares, axis=0)
