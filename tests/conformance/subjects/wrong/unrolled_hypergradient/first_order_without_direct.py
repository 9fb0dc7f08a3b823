"""Not carried back, and no direct term: two deviations at once."""


def subject(inner, outer, w0, phi, lr, steps):
    path = [w0]
    for _ in range(steps):
        path.append(path[-1] - lr * inner.grad(path[-1], phi))
    g = outer.grad_w(path[-1], phi)
    return sum((-lr * inner.mixed(w, phi, g) for w in path[:-1]), 0 * phi)
