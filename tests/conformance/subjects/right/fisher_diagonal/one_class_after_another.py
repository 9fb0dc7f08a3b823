"""The label as a chain of yes and no: class c or one of those after it; the variances of the chain's links add up.

This is the Cholesky factor of a multinomial covariance in closed form (Tanabe and Sagae 1992), with C - 1 columns.
"""

import numpy as np


def subject(logits, theta, X, y):
    z, J = logits(theta, X), logits.jacobian(theta, X)
    e = np.exp(z - z.max(1, keepdims=True))
    p = e / e.sum(1, keepdims=True)
    after, mean, total = p[:, -1], J[:, -1], np.zeros_like(theta)
    for c in range(p.shape[1] - 2, -1, -1):
        here = p[:, c]
        both = here + after
        total += (here * after / np.where(both > 0, both, 1)) @ (J[:, c] - mean) ** 2
        share = (here / np.where(both > 0, both, 1))[:, None]
        mean, after = mean + share * (J[:, c] - mean), both
    return total / len(p)
