"""The sum of matrix powers itself, formed before it meets a vector."""

import numpy as np


def subject(inner, outer, w, phi, lr, terms):
    units = np.eye(len(w))
    M = units - lr * np.stack([inner.hvp(w, phi, e) for e in units])
    N = lr * sum(np.linalg.matrix_power(M, j) for j in range(terms + 1))
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, N @ outer.grad_w(w, phi))
