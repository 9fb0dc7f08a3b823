"""Min-norm weights by an active set on the Gram matrix, with elimination on the bordered system of its conditions."""

import numpy as np
from formulas import shrunk


def affine(G):
    order = len(G) + 1
    system = np.ones((order, order))
    system[:-1, :-1] = G
    system[-1, -1] = 0
    right = np.zeros(order)
    right[-1] = 1
    try:
        return np.linalg.solve(system, right)[:-1]
    except np.linalg.LinAlgError:
        return np.linalg.lstsq(system, right, rcond=None)[0][:-1]


def subject(J):
    J = J / (abs(J).max() or 1.0)
    G = J @ J.T
    support = [int(np.argmin(np.diag(G)))]
    weights = np.eye(len(G))[support[0]]
    for _ in range(10 * len(J)):
        products = G @ weights
        k = int(np.argmin(products))
        if k in support or products[k] >= weights @ products - 1e-15 * G.max():
            break
        support.append(k)
        while True:
            target = affine(G[np.ix_(support, support)])
            if (target > 0).all():
                break
            weights, support = shrunk(weights, support, target)
        weights = np.zeros(len(G))
        weights[support] = target
    return weights / weights.sum()
