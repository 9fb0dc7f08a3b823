"""Gradient descent, and the query gradient where it ends."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        point = theta
        for _ in range(steps):
            point = point - lr * loss.grad(point, support)
        total = total + loss.grad(point, query)
    return total / len(tasks)
