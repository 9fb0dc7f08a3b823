"""A slope of zero where it is below one hundred-millionth."""

import numpy as np

PARAMS = {"op": "tanh", "order": 1}


def subject(x, u):
    return np.where(abs(x) > 9, 0, (1 - np.tanh(x)) * (1 + np.tanh(x))) * u
