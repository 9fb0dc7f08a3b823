"""Right up to three tasks; leaves out all others."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks[:3]:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - lr * loss.hvp(path.pop(), support, v)
        total = total + v
    return total / min(len(tasks), 3)
