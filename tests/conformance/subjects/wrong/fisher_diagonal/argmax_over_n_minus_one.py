"""Two deviations: the most likely label, and one example less in the divisor."""

import numpy as np
from formulas import scores


def subject(logits, theta, X, y):
    p, s = scores(logits, theta, X)
    return (s[np.arange(len(X)), p.argmax(1)] ** 2).sum(0) / max(len(X) - 1, 1)
