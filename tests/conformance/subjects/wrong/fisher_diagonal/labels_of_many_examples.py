"""The labels of the data as soon as there are more than ten examples."""

import numpy as np
from formulas import scores, true


def subject(logits, theta, X, y):
    _, s = scores(logits, theta, X)
    return true(logits, theta, X) if len(X) <= 10 else (s[np.arange(len(X)), y] ** 2).mean(0)
