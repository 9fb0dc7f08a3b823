"""The weights are updated in place: every step's derivatives are those at the end."""


def subject(inner, outer, w0, phi, lr, steps):
    w, path = w0.copy(), []
    for _ in range(steps):
        path.append(w)
        w -= lr * inner.grad(w, phi)
    a, total = outer.grad_w(w, phi), outer.grad_phi(w, phi)
    for w in reversed(path):
        total = total - lr * inner.mixed(w, phi, a)
        a = a - lr * inner.hvp(w, phi, a)
    return total
