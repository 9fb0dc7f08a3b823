"""jax.grad of the mean query loss with the inner gradients taken for constants."""

import jax


def subject(loss, theta, tasks, lr, steps):
    def objective(theta):
        losses = []
        for support, query in tasks:
            fast = theta
            for _ in range(steps):
                fast = fast - lr * jax.lax.stop_gradient(jax.grad(loss)(fast, support))
            losses.append(loss(fast, query))
        return sum(losses) / len(losses)

    return jax.grad(objective)(theta)
