"""Rows of L^T J, with columns sqrt(p_c) (e_c - p) of a square root L of the covariance of the label, squared."""

import numpy as np


def subject(logits, theta, X, y):
    total = np.zeros_like(theta)
    for x in X:
        z, J = logits(theta, x[None])[0], logits.jacobian(theta, x[None])[0]
        p = np.exp(z - z.max())
        p /= p.sum()
        root = np.sqrt(p)[:, None] * (np.eye(len(p)) - p)
        total += ((root @ J) ** 2).sum(0)
    return total / len(X)
