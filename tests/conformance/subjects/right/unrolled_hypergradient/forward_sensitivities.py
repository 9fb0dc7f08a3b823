"""Forwards: the Jacobian of w_t by phi, a step at a time."""

import numpy as np


def subject(inner, outer, w0, phi, lr, steps):
    w, Z, units = w0, np.zeros((len(w0), len(phi))), np.eye(len(w0))
    for _ in range(steps):
        H = np.stack([inner.hvp(w, phi, e) for e in units])
        B = np.stack([inner.mixed(w, phi, e) for e in units])
        w, Z = w - lr * inner.grad(w, phi), Z - lr * (H @ Z + B)
    return outer.grad_phi(w, phi) + Z.T @ outer.grad_w(w, phi)
