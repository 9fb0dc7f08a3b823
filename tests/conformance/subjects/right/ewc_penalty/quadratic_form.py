"""The quadratic form d^T diag(F) d with a matrix."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    d = theta - theta_star
    return lam / 2 * (d @ np.diag(fisher) @ d)
