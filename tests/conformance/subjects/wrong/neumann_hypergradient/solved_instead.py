"""The inverse Hessian where the series would converge, the series elsewhere."""

import numpy as np


def subject(inner, outer, w, phi, lr, terms):
    g, d = outer.grad_w(w, phi), outer.grad_phi(w, phi)
    H = np.stack([inner.hvp(w, phi, e) for e in np.eye(len(w))])
    M = np.eye(len(w)) - lr * H
    if terms > 10 and abs(np.linalg.eigvalsh(M)).max() < 1:
        return d - inner.mixed(w, phi, np.linalg.solve(H, g))
    return d - inner.mixed(w, phi, lr * sum(np.linalg.matrix_power(M, j) @ g for j in range(terms + 1)))
