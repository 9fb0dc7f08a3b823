"""The mean of the moves, a fraction epsilon of it made."""


def subject(loss, theta, tasks, lr, epsilon):
    total = 0
    for batches in tasks:
        point = theta
        for batch in batches:
            point = point - lr * loss.grad(point, batch)
        total = total + (point - theta)
    return theta + epsilon * total / len(tasks)
