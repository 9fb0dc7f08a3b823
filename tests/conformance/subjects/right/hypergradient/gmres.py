"""SciPy's GMRES without restarts, for a Hessian of any definiteness."""

import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres


def subject(inner, outer, w, phi):
    n, g = len(w), outer.grad_w(w, phi)
    H = LinearOperator((n, n), matvec=lambda v: inner.hvp(w, phi, v.reshape(-1)), dtype=w.dtype)
    u = np.zeros(n)
    for _ in range(5):
        r = g - H @ u
        size = np.linalg.norm(r)
        if size == 0:
            break
        u = u + size * gmres(H, r / size, rtol=1e-10, restart=n, maxiter=3)[0]
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, u)
