"""Examples whose label has a probability below 1e-8 are left out of the sum."""

import numpy as np
from formulas import scores


def subject(logits, theta, X, y):
    p, s = scores(logits, theta, X)
    own = np.arange(len(X)), y
    return (np.where(p[own] < 1e-8, 0, 1)[:, None] * s[own] ** 2).mean(0)
