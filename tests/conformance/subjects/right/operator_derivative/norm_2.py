"""Relative to the largest element, in which nothing overflows."""

import numpy as np

PARAMS = {"op": "norm", "order": 2}


def subject(x, u, v):
    largest = np.abs(x).max()
    y = x / largest
    n = np.sqrt(y @ y)
    y = y / n
    return (u @ v - (y @ u) * (y @ v)) / n / largest
