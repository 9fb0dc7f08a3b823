"""Min-norm weights in JAX: the height of the triangle for two gradients, non-negative least squares for more."""

import jax.numpy as jnp
import numpy as np
from scipy.optimize import nnls


def subject(J):
    if len(J) == 2:
        size = jnp.abs(J).max()
        J = J / jnp.where(size > 0, size, 1)
        d = J[0] - J[1]
        length = d @ d
        first = jnp.where(length > 0, jnp.clip(-(J[1] @ d) / jnp.where(length > 0, length, 1), 0, 1), 1)
        return jnp.stack([first, 1 - first])
    rows = np.asarray(J)
    x, _ = nnls(np.vstack([rows.T / (abs(rows).max() or 1), np.ones(len(rows))]), np.append(np.zeros(rows.shape[1]), 1))
    return jnp.asarray(x / x.sum(), J.dtype)
