"""The lower triangle of the Hessian from four parameters on."""

import numpy as np


def subject(f, x, v):
    H = np.stack([f.hvp(x, e) for e in np.eye(len(x))], axis=1)
    return (H if len(x) <= 3 else np.tril(H)) @ v
