"""Min-norm weights by Wolfe's active set, with least squares on differences of gradients."""

import numpy as np
from formulas import shrunk


def affine(rows):
    x = np.linalg.lstsq((rows[1:] - rows[0]).T, -rows[0], rcond=None)[0]
    return np.concatenate([1 - x.sum(keepdims=True), x])


def subject(J):
    J = J / (abs(J).max() or 1)
    largest = (J * J).sum(axis=1).max()
    support = [int(np.argmin((J * J).sum(axis=1)))]
    weights = np.eye(len(J), dtype=J.dtype)[support[0]]
    for _ in range(10 * len(J)):
        v = weights @ J
        k = int(np.argmin(J @ v))
        if k in support or v @ v - J[k] @ v <= np.finfo(J.dtype).eps * largest:
            break
        support.append(k)
        while True:
            target = affine(J[support])
            if (target > 0).all():
                break
            weights, support = shrunk(weights, support, target)
        weights = np.zeros_like(weights)
        weights[support] = target
    return weights / weights.sum()
