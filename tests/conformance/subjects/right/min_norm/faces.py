"""Min-norm weights by going through the faces of the simplex, the one with the smallest gap being the best."""

from itertools import combinations

import numpy as np


def subject(J):
    size = abs(J).max() or 1.0
    J = J / size
    best = None
    for count in range(1, min(len(J), J.shape[1] + 1) + 1):
        for face in combinations(range(len(J)), count):
            base, others = face[0], list(face[1:])
            x = np.linalg.lstsq((J[others] - J[base]).T, -J[base], rcond=None)[0]
            if x.min(initial=0.0) < 0 or x.sum() > 1:
                continue
            weights = np.zeros(len(J))
            weights[others], weights[base] = x, 1 - x.sum()
            v = weights @ J
            gap = v @ v - (J @ v).min()
            if best is None or gap < best[0]:
                best = gap, weights
        if best is not None and best[0] <= 1e-15 * (J * J).sum(axis=1).max():
            break  # no larger face can do better
    return best[1]
