"""Squares that are beyond the range of floats."""

import numpy as np

PARAMS = {"op": "norm", "order": 1}


def subject(x, u):
    return x @ u / np.sqrt(x @ x)
