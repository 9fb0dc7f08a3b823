"""Zeros of the point are taken for 1e-13."""

import numpy as np


def subject(f, x, v):
    return f.hvp(np.where(x == 0, 1e-13, x), v)
