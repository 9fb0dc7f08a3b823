"""Eight parameters of however many, the others have no gradient."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return np.where(np.arange(len(theta)) < 8, lam * fisher * (theta - theta_star), 0)
