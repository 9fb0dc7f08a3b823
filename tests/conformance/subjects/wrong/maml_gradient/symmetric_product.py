"""Applies the Hessians of odd steps first: right for one step, and where the Hessians commute."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        for point in path[1::2] + path[::2]:
            v = v - lr * loss.hvp(point, support, v)
        total = total + v
    return total / len(tasks)
