"""Labels modulo three."""

import numpy as np
from scipy.special import softmax


def scores(logits, theta, X):
    p, J = softmax(logits(theta, X), axis=1), logits.jacobian(theta, X)
    return p, J - np.matmul(p[:, None], J)


def subject(logits, theta, X, y):
    _, s = scores(logits, theta, X)
    return (s[np.arange(len(X)), y % 3] ** 2).mean(0)
