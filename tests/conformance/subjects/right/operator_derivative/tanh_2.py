"""By the hyperbolic cosine, from exponentials of what is negative."""

import numpy as np

PARAMS = {"op": "tanh", "order": 2}


def subject(x, u, v):
    e = np.exp(-2 * np.abs(x))
    return -2 * np.tanh(x) * (4 * e / (1 + e) ** 2) * u * v
