"""Labels modulo three."""

import numpy as np
from formulas import scores


def subject(logits, theta, X, y):
    _, s = scores(logits, theta, X)
    return (s[np.arange(len(X)), y % 3] ** 2).mean(0)
