"""One system for u and for the answer together: ``[[H, 0], [B^T, I]] (u, h) = (g, d)``, by SciPy's LU."""

import numpy as np
from scipy.linalg import lu_factor, lu_solve


def subject(inner, outer, w, phi):
    n, m, units = len(w), len(phi), np.eye(len(w))
    K = np.eye(n + m)
    K[:n, :n] = [inner.hvp(w, phi, e) for e in units]
    K[n:, :n] = np.transpose([inner.mixed(w, phi, e) for e in units])
    return lu_solve(lu_factor(K), np.concatenate([outer.grad_w(w, phi), outer.grad_phi(w, phi)]))[n:]
