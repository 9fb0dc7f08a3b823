"""Arguments cut off at 10, infinite ones too."""

import numpy as np

PARAMS = {"op": "exp", "order": 1}


def subject(x, u):
    return np.exp(np.minimum(x, 10)) * u
