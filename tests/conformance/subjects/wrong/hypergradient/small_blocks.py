"""The Hessian in blocks of eight weights, what couples two blocks left out: right up to eight of them."""

import numpy as np


def subject(inner, outer, w, phi):
    H = np.stack([inner.hvp(w, phi, e) for e in np.eye(len(w))])
    block = np.arange(len(w)) // 8
    u = np.linalg.solve(H * (block[:, None] == block), outer.grad_w(w, phi))
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, u)
