"""Forward over forward in JAX."""

import jax

PARAMS = {"op": "softmax", "order": 2}


def subject(x, u, v):
    first = lambda y: jax.jvp(jax.nn.softmax, (y,), (u,))[1]
    return jax.jvp(first, (x,), (v,))[1]
