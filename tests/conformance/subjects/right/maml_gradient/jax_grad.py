"""jax.grad of the mean query loss, through jax.grad of the support loss."""

import jax


def subject(loss, theta, tasks, lr, steps):
    def objective(theta):
        total = 0.0
        for support, query in tasks:
            fast = theta
            for _ in range(steps):
                fast = fast - lr * jax.grad(loss)(fast, support)
            total = total + loss(fast, query)
        return total / len(tasks)

    return jax.grad(objective)(theta)
