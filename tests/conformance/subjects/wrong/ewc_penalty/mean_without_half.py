"""Two deviations: no factor 1/2, and a mean over the parameters."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return lam * np.mean(fisher * (theta - theta_star) ** 2)
