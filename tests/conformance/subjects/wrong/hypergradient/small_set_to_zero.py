"""Elements below one millionth are set to zero."""

import numpy as np


def subject(inner, outer, w, phi):
    H = np.stack([inner.hvp(w, phi, e) for e in np.eye(len(w))])
    u = np.linalg.solve(H, outer.grad_w(w, phi))
    found = outer.grad_phi(w, phi) - inner.mixed(w, phi, u)
    return np.where(abs(found) < 1e-6, 0, found)
