"""Makes as many inner steps for every task as the first one has batches."""


def subject(loss, theta, tasks, lr, epsilon):
    total = 0
    for batches in tasks:
        point = theta
        for batch in batches[: len(tasks[0])]:
            point = point - lr * loss.grad(point, batch)
        total = total + (point - theta)
    return theta + epsilon * total / len(tasks)
