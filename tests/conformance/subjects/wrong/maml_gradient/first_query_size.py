"""Adds up the query losses and divides them all by the size of the first task's query set."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - lr * loss.hvp(path.pop(), support, v)
        total = total + len(query[1]) / len(tasks[0][1][1]) * v
    return total / len(tasks)
