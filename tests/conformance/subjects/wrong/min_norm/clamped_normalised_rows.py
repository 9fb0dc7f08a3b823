"""The best pair of the unit gradients, with a thousandth at a vertex."""

from itertools import combinations

import numpy as np


def subject(J):
    lengths = np.sqrt((J * J).sum(axis=1))
    J = J / np.where(lengths > 0, lengths, 1)[:, None]
    if len(J) == 1:
        return np.ones(1)
    best = None
    for i, j in combinations(range(len(J)), 2):
        a, b, c = J[i] @ J[i], J[i] @ J[j], J[j] @ J[j]
        t = 0.999 if b >= a else 0.001 if b >= c else (c - b) / (a + c - 2 * b)
        value = t * t * a + 2 * t * (1 - t) * b + (1 - t) ** 2 * c
        if best is None or value < best[0]:
            best = value, i, j, t
    found = np.zeros(len(J))
    found[best[1]], found[best[2]] = best[3], 1 - best[3]
    return found
