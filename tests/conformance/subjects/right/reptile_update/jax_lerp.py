"""jax.grad in the inner steps, and the mean of the interpolations of each task."""

import jax
import jax.numpy as jnp


def subject(loss, theta, tasks, lr, epsilon):
    ends = []
    for batches in tasks:
        point = theta
        for batch in batches:
            point = point - lr * jax.grad(loss)(point, batch)
        ends.append(theta + epsilon * (point - theta))
    return jnp.stack(ends).mean(axis=0)
