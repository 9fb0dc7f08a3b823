"""The Jacobian of the solution by phi first, all columns of one solve; then its product with the outer gradient."""

import numpy as np


def subject(inner, outer, w, phi):
    units = np.eye(len(w))
    H = np.stack([inner.hvp(w, phi, e) for e in units])
    B = np.stack([inner.mixed(w, phi, e) for e in units])
    S = -np.linalg.solve(H, B)
    return outer.grad_phi(w, phi) + S.T @ outer.grad_w(w, phi)
