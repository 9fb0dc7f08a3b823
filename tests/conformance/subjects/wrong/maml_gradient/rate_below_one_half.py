"""Takes one half for any larger inner rate."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - min(lr, 0.5) * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - min(lr, 0.5) * loss.hvp(path.pop(), support, v)
        total = total + v
    return total / len(tasks)
