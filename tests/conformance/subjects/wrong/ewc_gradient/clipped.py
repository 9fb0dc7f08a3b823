"""A gradient whose norm is at most 10."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    g = lam * fisher * (theta - theta_star)
    return g * min(1, 10 / max(np.linalg.norm(g), 1e-30))
