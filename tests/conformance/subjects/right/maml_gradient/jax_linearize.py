"""The adaptation linearised, and its transpose applied to the query gradient."""

import jax


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:

        def adapt(theta, support=support):
            for _ in range(steps):
                theta = theta - lr * jax.grad(loss)(theta, support)
            return theta

        adapted, along = jax.linearize(adapt, theta)
        (pulled,) = jax.linear_transpose(along, theta)(jax.grad(loss)(adapted, query))
        total = total + pulled
    return total / len(tasks)
