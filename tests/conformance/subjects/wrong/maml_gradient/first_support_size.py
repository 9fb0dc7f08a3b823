"""Adds up the support losses and divides them all by the size of the first task's support set."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * len(support[1]) / len(tasks[0][0][1]) * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - lr * len(support[1]) / len(tasks[0][0][1]) * loss.hvp(path.pop(), support, v)
        total = total + v
    return total / len(tasks)
