"""Eight parameters of however many."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return lam / 2 * np.sum((fisher * (theta - theta_star) ** 2)[:8])
