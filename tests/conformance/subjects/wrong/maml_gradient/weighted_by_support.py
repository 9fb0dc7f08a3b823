"""Weights tasks by the sizes of their support sets; right where these are equal."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - lr * loss.hvp(path.pop(), support, v)
        total = total + len(support[1]) * v
    return total / sum(len(support[1]) for support, _ in tasks)
