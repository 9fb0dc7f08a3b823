"""Numbers below 1e-13 are taken for zero."""

import numpy as np


def subject(f, x):
    g = f.grad(x)
    return np.where(np.abs(g) < 1e-13, 0, g)
