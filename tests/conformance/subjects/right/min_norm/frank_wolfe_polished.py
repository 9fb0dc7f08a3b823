"""Min-norm weights by pairwise Frank-Wolfe steps, and least squares on the rows that they leave with weight."""

import numpy as np
from scipy.optimize import nnls


def gap(J, weights):
    v = weights @ J
    return v @ v - (J @ v).min()


def subject(J, steps=200):
    J = J / (abs(J).max() or 1.0)
    weights = np.full(len(J), 1 / len(J))
    for _ in range(steps):
        rates = J @ (weights @ J)
        into, out = int(np.argmin(rates)), int(np.argmax(np.where(weights > 0, rates, -np.inf)))
        d = J[into] - J[out]
        if into == out or d @ d == 0:
            break
        step = min(weights[out], (rates[out] - rates[into]) / (d @ d))
        weights[into] += step
        weights[out] = max(weights[out] - step, 0.0)
    support = np.flatnonzero(weights)
    while True:
        system = np.vstack([J[support].T, np.ones(len(support))])
        x, _ = nnls(system, np.append(np.zeros(J.shape[1]), 1.0))
        weights = np.zeros(len(J))
        weights[support] = x / x.sum()
        rates = J @ (weights @ J)
        missing = int(np.argmin(rates))
        if missing in support:
            return weights
        support = np.append(support, missing)
