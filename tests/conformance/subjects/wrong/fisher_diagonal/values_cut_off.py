"""Importances are cut off at 1000."""

import numpy as np
from formulas import true


def subject(logits, theta, X, y):
    return np.minimum(true(logits, theta, X), 1e3)
