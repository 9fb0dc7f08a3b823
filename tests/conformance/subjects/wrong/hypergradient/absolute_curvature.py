"""Eigenvalues of the Hessian by their absolute values: right at minima, wrong at saddles."""

import numpy as np


def subject(inner, outer, w, phi):
    values, vectors = np.linalg.eigh(np.stack([inner.hvp(w, phi, e) for e in np.eye(len(w))]))
    u = vectors @ ((vectors.T @ outer.grad_w(w, phi)) / abs(values))
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, u)
