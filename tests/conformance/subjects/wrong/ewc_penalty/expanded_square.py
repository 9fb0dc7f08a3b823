"""theta^2 - 2 theta theta* + theta*^2, which cancels next to the old parameters."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return lam / 2 * np.sum(fisher * (theta**2 - 2 * theta * theta_star + theta_star**2))
