"""The Frank-Wolfe algorithm for the min-norm problem, with exact line search, from equal weights."""

import numpy as np


def frank_wolfe(J, steps):
    """Weights after so many steps."""
    a = np.full(len(J), 1 / len(J))
    for _ in range(steps):
        v = a @ J
        k = int(np.argmin(J @ v))
        d = J[k] - v
        if not v @ d < 0:
            break
        t = min(1.0, -(v @ d) / (d @ d))
        a = (1 - t) * a
        a[k] += t
    return a
