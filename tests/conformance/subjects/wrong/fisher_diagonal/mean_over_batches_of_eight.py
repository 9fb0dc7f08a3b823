"""Right means over batches of eight, averaged as if the last batch were full."""

import numpy as np
from scipy.special import softmax


def scores(logits, theta, X):
    p, J = softmax(logits(theta, X), axis=1), logits.jacobian(theta, X)
    return p, J - np.matmul(p[:, None], J)


def true(logits, theta, X):
    p, s = scores(logits, theta, X)
    return (p[:, :, None] * s**2).sum(1).mean(0)


def subject(logits, theta, X, y):
    return np.mean([true(logits, theta, X[k : k + 8]) for k in range(0, len(X), 8)], axis=0)
