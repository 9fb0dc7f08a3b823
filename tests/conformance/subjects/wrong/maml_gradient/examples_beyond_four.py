"""Right up to four examples in a support set; leaves out all others."""


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], (support[0][:4], support[1][:4])))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - lr * loss.hvp(path.pop(), (support[0][:4], support[1][:4]), v)
        total = total + v
    return total / len(tasks)
