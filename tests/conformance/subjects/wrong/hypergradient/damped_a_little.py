"""A damping of 1e-6: seen where the Hessian is well conditioned and numbers are float64."""

import numpy as np


def subject(inner, outer, w, phi):
    H = np.stack([inner.hvp(w, phi, e) for e in np.eye(len(w))]) + 1e-6 * np.eye(len(w))
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, np.linalg.solve(H, outer.grad_w(w, phi)))
