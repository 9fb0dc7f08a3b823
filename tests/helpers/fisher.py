"""The true Fisher diagonal of a softmax network as a reader of its definition would write it."""

from __future__ import annotations

import numpy as np

import refgrad.numpy as rnp
from refgrad import jacrev, vmap


def variance_of_jacobians(p, X):
    """The mean over examples of the variance, over labels, of the Jacobian of the logits.

    ``E_c (J_c - E J)^2 = E_c J_c^2 - (E_c J_c)^2`` for a network with one hidden layer, p = (W, b, V, c).
    """

    def logits(p, x):
        W, b, V, c = p
        return rnp.tanh(x @ W + b) @ V + c

    def of_example(p, x):
        q = rnp.softmax(logits(p, x))

        def variance(jacobian):
            weights = q.reshape(q.shape + (1,) * (jacobian.ndim - 1))
            mean = np.sum(weights * jacobian, axis=0)
            return np.sum(weights * jacobian * jacobian, axis=0) - mean * mean

        return tuple(variance(j) for j in jacrev(logits)(p, x))

    return tuple(np.mean(a, axis=0) for a in vmap(of_example, (None, 0))(p, X))
