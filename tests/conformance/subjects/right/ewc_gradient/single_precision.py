"""A product with the diagonal matrix of importances, in float32."""

import numpy as np

DTYPE = "float32"


def subject(theta, theta_star, fisher, lam):
    return np.float32(lam) * (np.diag(fisher) @ (theta - theta_star))
