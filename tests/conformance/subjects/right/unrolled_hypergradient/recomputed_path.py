"""Backwards with every point of the path computed again from the start, in float32: nothing is kept."""

DTYPE = "float32"


def subject(inner, outer, w0, phi, lr, steps):
    def after(count):
        w = w0
        for _ in range(count):
            w = w - lr * inner.grad(w, phi)
        return w

    a, total = outer.grad_w(after(steps), phi), outer.grad_phi(after(steps), phi)
    for t in range(steps - 1, -1, -1):
        total = total - lr * inner.mixed(after(t), phi, a)
        a = a - lr * inner.hvp(after(t), phi, a)
    return total
