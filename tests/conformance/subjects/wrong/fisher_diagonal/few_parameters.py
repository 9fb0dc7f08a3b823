"""At most thirty-two parameters, the others have no importance."""

import numpy as np
from formulas import true


def subject(logits, theta, X, y):
    return np.where(np.arange(len(theta)) < 32, true(logits, theta, X), 0)
