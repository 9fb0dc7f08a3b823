"""A mean times the number of parameters, in float32."""

import numpy as np

DTYPE = "float32"


def subject(theta, theta_star, fisher, lam):
    p = np.float32(len(theta))
    return np.float32(lam) * p * np.mean(fisher * np.square(theta - theta_star)) / np.float32(2)
