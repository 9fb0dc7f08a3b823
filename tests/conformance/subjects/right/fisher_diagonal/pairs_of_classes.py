"""A variance as a sum over pairs: sum_(a < b) p_a p_b (J_a - J_b)^2, without any score."""

import numpy as np


def subject(logits, theta, X, y):
    z, J = logits(theta, X), logits.jacobian(theta, X)
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    total = np.zeros_like(theta)
    for a in range(p.shape[1]):
        for b in range(a):
            total += (p[:, a] * p[:, b]) @ (J[:, a] - J[:, b]) ** 2
    return total / len(p)
