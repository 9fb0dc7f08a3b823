"""The pseudo-inverse, which drops small singular values."""

import numpy as np

PARAMS = {"op": "inv", "order": 1}


def subject(x, u):
    X = np.linalg.pinv(x, rcond=1e-8)
    return -X @ u @ X
