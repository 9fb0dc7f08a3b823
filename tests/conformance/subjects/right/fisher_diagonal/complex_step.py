"""Scores by the complex step: the imaginary part of log p(theta + i h e_j), which subtracts nothing."""

import numpy as np
from scipy.special import log_softmax

H = 1e-100


def subject(logits, theta, X, y):
    p = np.exp(log_softmax(logits(theta, X), axis=1))
    found = np.empty_like(theta)
    for j in range(len(theta)):
        moved = theta.astype(complex)
        moved[j] += H * 1j
        z = logits(moved, X)
        e = np.exp(z - z.real.max(1, keepdims=True))
        scores = (z - np.log(e.sum(1, keepdims=True))).imag / H
        found[j] = (p * scores**2).sum(1).mean()
    return found
