"""The squared norm of sqrt(lam F) d, halved."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return np.linalg.norm(np.sqrt(lam * fisher) * (theta - theta_star)) ** 2 / 2
