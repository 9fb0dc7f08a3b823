"""The mean over examples where there are several, with a divisor of two where there is one."""

import numpy as np
from formulas import scores


def subject(logits, theta, X, y):
    _, s = scores(logits, theta, X)
    return (s[np.arange(len(X)), y] ** 2).sum(0) / max(len(X), 2)
