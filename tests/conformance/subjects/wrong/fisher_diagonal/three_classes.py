"""Three classes of however many."""

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
    return (p[:, :3, None] * s[:, :3] ** 2).sum(1).mean(0)
