"""Probabilities below 1e-6 are taken for zero."""

import numpy as np
from formulas import scores


def subject(logits, theta, X, y):
    p, s = scores(logits, theta, X)
    return (np.where(p < 1e-6, 0, p)[:, :, None] * s**2).sum(1).mean(0)
