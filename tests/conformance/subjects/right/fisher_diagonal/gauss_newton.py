"""The diagonal of the generalised Gauss-Newton matrix J^T (diag p - p p^T) J, the Fisher matrix of a softmax."""

import numpy as np


def subject(logits, theta, X, y):
    z = logits(theta, X)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    J = logits.jacobian(theta, X)
    covariance = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None, :]
    return np.einsum("nap,nab,nbp->p", J, covariance, J) / len(X)
