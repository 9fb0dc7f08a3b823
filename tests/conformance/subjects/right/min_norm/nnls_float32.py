"""Min-norm weights for float32 gradients: non-negative least squares in float64, rounded at the end."""

import numpy as np
from scipy.optimize import nnls

DTYPE = "float32"


def subject(J):
    rows = J.astype(np.float64)
    size = abs(rows).max() or 1.0
    x, _ = nnls(np.vstack([rows.T / size, np.ones(len(J))]), np.append(np.zeros(J.shape[1]), 1.0))
    return (x / x.sum()).astype(J.dtype)
