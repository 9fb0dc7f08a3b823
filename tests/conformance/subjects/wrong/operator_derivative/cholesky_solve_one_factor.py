"""The first factor of a stack for all of them, unless they are of order 2."""

import numpy as np

PARAMS = {"op": "cholesky_solve", "order": 1}


def subject(x, u):
    (b, l), (u_b, u_l) = x, u
    if l.ndim == 3 and l.shape[1] != 2:
        l, u_l = (np.repeat(part[:1], len(part), axis=0) for part in (l, u_l))
    a = l @ l.swapaxes(-1, -2)
    a_u = u_l @ l.swapaxes(-1, -2) + l @ u_l.swapaxes(-1, -2)
    y = np.linalg.solve(a, np.broadcast_to(b, (*l.shape[:-2], *b.shape)))
    return np.linalg.solve(a, u_b - a_u @ y)
