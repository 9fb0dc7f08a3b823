"""Importances below 1e-4 are taken for zero."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return lam / 2 * np.sum(np.where(fisher < 1e-4, 0, fisher) * (theta - theta_star) ** 2)
