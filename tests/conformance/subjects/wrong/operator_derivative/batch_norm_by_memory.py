"""Reads the memory behind x, as if rows came one after another."""

import numpy as np

PARAMS = {"op": "batch_norm", "order": 1}


def subject(x, u):
    x, u = (np.ravel(part, order="K").reshape(part.shape) for part in (x, u))
    c = x - x.mean(axis=0)
    r = 1 / np.sqrt((c * c).mean(axis=0) + 2.0**-10)
    y, w = c * r, u - u.mean(axis=0)
    return r * (w - y * (y * w).mean(axis=0))
