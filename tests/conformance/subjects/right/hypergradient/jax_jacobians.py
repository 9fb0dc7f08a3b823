"""JAX's Hessian and Jacobian of the gradient map, and a dense solve."""

import jax
import jax.numpy as jnp


def subject(inner, outer, w, phi):
    H = jax.hessian(inner)(w, phi)
    B = jax.jacobian(jax.grad(inner), 1)(w, phi)
    g, d = jax.grad(outer, (0, 1))(w, phi)
    return d - B.T @ jnp.linalg.solve(H, g)
