"""Returns the largest number there is."""

import numpy as np


def square(x):
    return np.full(len(x), np.finfo(x.dtype).max)
