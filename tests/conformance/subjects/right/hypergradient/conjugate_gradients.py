"""SciPy's conjugate gradients on Hessian-vector products, again and again on the residual that is left.

Conjugate gradients are for minima: a Hessian that is not positive definite is refused.
"""

import numpy as np
from scipy.sparse.linalg import LinearOperator, cg

REFUSES = "indefinite"


def subject(inner, outer, w, phi):
    n, g = len(w), outer.grad_w(w, phi)
    if np.linalg.eigvalsh([inner.hvp(w, phi, e) for e in np.eye(n)]).min() <= 0:
        raise ValueError("expected a positive definite Hessian")
    H = LinearOperator((n, n), matvec=lambda v: inner.hvp(w, phi, v.reshape(-1)), dtype=w.dtype)
    u = np.zeros(n)
    for _ in range(6):
        r = g - H @ u
        size = np.linalg.norm(r)
        if size == 0:
            break
        u = u + size * cg(H, r / size, rtol=1e-10, maxiter=40 * n)[0]
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, u)
