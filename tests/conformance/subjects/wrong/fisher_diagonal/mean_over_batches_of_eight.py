"""Right means over batches of eight, averaged as if the last batch were full."""

import numpy as np
from formulas import true


def subject(logits, theta, X, y):
    return np.mean([true(logits, theta, X[k : k + 8]) for k in range(0, len(X), 8)], axis=0)
