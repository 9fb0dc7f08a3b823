"""Returns ten million numbers."""

import numpy as np


def square(x):
    return np.ones(10_000_000)
