"""Two deviations: the most likely label, and one example less in the divisor."""

import numpy as np
from scipy.special import softmax


def scores(logits, theta, X):
    p, J = softmax(logits(theta, X), axis=1), logits.jacobian(theta, X)
    return p, J - np.matmul(p[:, None], J)


def true(logits, theta, X):
    p, s = scores(logits, theta, X)
    return (p[:, :, None] * s**2).sum(1).mean(0)


def subject(logits, theta, X, y):
    p, s = scores(logits, theta, X)
    return (s[np.arange(len(X)), p.argmax(1)] ** 2).sum(0) / max(len(X) - 1, 1)
