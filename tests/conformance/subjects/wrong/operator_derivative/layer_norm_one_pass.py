"""The variance as a difference of means."""

import numpy as np

PARAMS = {"op": "layer_norm", "order": 1}


def subject(x, u):
    m = x.mean(axis=1, keepdims=True)
    r = 1 / np.sqrt((x * x).mean(axis=1, keepdims=True) - m * m + 2.0**-10)
    y, w = (x - m) * r, u - u.mean(axis=1, keepdims=True)
    return r * (w - y * (y * w).mean(axis=1, keepdims=True))
