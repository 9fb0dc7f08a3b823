"""Squared mean gradients of batches of thirty-two, but of single examples where there is one batch."""

import numpy as np
from formulas import scores


def subject(logits, theta, X, y):
    _, s = scores(logits, theta, X)
    g = s[np.arange(len(X)), y]
    if len(X) <= 32:
        return (g**2).mean(0)
    return np.mean([g[k : k + 32].mean(0) ** 2 for k in range(0, len(X), 32)], axis=0)
