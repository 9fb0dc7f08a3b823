"""Forward mode of JAX: log-probabilities of all examples and labels, pushed forward along every parameter.

Compiled once for each kind of logits, which hold no arrays of their own, and shape.
"""

import inspect

import jax
import jax.numpy as jnp

COMPILED = {}


def subject(logits, theta, X, y):
    @jax.jit
    def fisher(theta, X):
        def log_p(t):
            return jax.nn.log_softmax(logits(t, X), axis=1)

        return jnp.einsum("nc,ncp->p", jnp.exp(log_p(theta)), jax.jacfwd(log_p)(theta) ** 2) / len(X)

    return COMPILED.setdefault((type(inspect.unwrap(logits)), logits.classes), fisher)(theta, X)
