"""The adjoint of every inner step by hand, with one Hessian-vector product for each."""


def subject(loss, theta, tasks, lr, steps):
    total = 0 * theta
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        v = loss.grad(path.pop(), query)
        while path:
            v = v - lr * loss.hvp(path.pop(), support, v)
        total = total + v / len(tasks)
    return total
