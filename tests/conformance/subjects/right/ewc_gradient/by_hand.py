"""The derivative by hand, one parameter after the other."""

import numpy as np


def subject(theta, theta_star, fisher, lam):
    return np.array([lam * f * (t - s) for t, s, f in zip(theta, theta_star, fisher, strict=True)])
