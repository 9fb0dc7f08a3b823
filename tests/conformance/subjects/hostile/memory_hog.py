"""Asks for more memory than there is, without touching it."""

import numpy as np


def square(x):
    return np.empty(2**40)[: len(x)]
