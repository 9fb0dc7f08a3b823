"""Backwards over the path that was kept."""


def subject(inner, outer, w0, phi, lr, steps):
    path = [w0]
    for _ in range(steps):
        path.append(path[-1] - lr * inner.grad(path[-1], phi))
    a, total = outer.grad_w(path[-1], phi), outer.grad_phi(path[-1], phi)
    for w in reversed(path[:-1]):
        total = total - lr * inner.mixed(w, phi, a)
        a = a - lr * inner.hvp(w, phi, a)
    return total
