"""Returns infinities and NaN by turns."""

import numpy as np


def square(x):
    return np.where(x > 0, np.inf, np.nan)
