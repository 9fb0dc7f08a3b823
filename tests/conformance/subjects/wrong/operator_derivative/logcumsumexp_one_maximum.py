"""Exponentials relative to the largest of all, which vanish in a prefix far below."""

import numpy as np

PARAMS = {"op": "logcumsumexp", "order": 1}


def subject(x, u):
    e = np.exp(x - x.max())
    return np.cumsum(e * u) / np.cumsum(e)
