"""JAX: a scan over the powers, products with the Hessian forward over reverse, jitted."""

import jax


def subject(inner, outer, w, phi, lr, terms):
    g, d = jax.grad(outer, (0, 1))(w, phi)

    def step(v, _):
        v = v - lr * jax.jvp(lambda x: jax.grad(inner)(x, phi), (w,), (v,))[1]
        return v, v

    later = jax.lax.scan(step, g, None, length=terms)[1]
    u = lr * (g + later.sum(0))
    return d - jax.grad(lambda p: jax.grad(inner)(w, p) @ u)(phi)
