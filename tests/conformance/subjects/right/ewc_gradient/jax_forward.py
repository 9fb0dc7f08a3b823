"""Forward mode of JAX, one direction for each parameter."""

import jax
import jax.numpy as jnp


@jax.jit
def subject(theta, theta_star, fisher, lam):
    return jax.jacfwd(lambda t: lam / 2 * jnp.sum(fisher * (t - theta_star) ** 2))(theta)
