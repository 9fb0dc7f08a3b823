"""By the derivative of r (w - y mean(y w)), the first derivative, with y and r moving."""

import numpy as np

PARAMS = {"op": "layer_norm", "order": 2}


def mean(x):
    return x.mean(axis=-1, keepdims=True)


def subject(x, u, v):
    c = x - mean(x)
    r = 1 / np.sqrt(mean(c * c) + 2.0**-10)
    y, a, b = c * r, u - mean(u), v - mean(v)
    y_v = r * (b - y * mean(y * b))
    r_v = -r * r * mean(y * b)
    return r_v * (a - y * mean(y * a)) - r * (y_v * mean(y * a) + y * mean(y_v * a))
