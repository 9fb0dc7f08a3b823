"""The labels of the data as soon as there are more than ten examples."""

import numpy as np
from scipy.special import softmax


def scores(logits, theta, X):
    p, J = softmax(logits(theta, X), axis=1), logits.jacobian(theta, X)
    return p, J - np.matmul(p[:, None], J)


def true(logits, theta, X):
    p, s = scores(logits, theta, X)
    return (p[:, :, None] * s**2).sum(1).mean(0)


def subject(logits, theta, X, y):
    _, s = scores(logits, theta, X)
    return true(logits, theta, X) if len(X) <= 10 else (s[np.arange(len(X)), y] ** 2).mean(0)
