"""Products of vectors in JAX."""

import jax
import jax.numpy as jnp


@jax.jit
def subject(theta, theta_star, fisher, lam):
    d = theta - theta_star
    return 0.5 * lam * jnp.vdot(d, fisher * d)
