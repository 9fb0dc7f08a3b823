"""The Hessian of the cross-entropy of the model's own probabilities, held fixed: its expected second derivative.

Compiled once for each kind of logits, which hold no arrays of their own, and shape.
"""

import inspect

import jax
import jax.numpy as jnp

COMPILED = {}


def subject(logits, theta, X, y):
    @jax.jit
    def fisher(theta, X):
        p = jax.nn.softmax(logits(theta, X), axis=1)

        def cross_entropy(t):
            return -jnp.mean(jnp.sum(p * jax.nn.log_softmax(logits(t, X), axis=1), axis=1))

        return jnp.diagonal(jax.hessian(cross_entropy)(theta))

    return COMPILED.setdefault((type(inspect.unwrap(logits)), logits.classes), fisher)(theta, X)
