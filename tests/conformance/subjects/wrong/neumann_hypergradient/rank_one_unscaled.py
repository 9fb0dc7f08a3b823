"""The outer product of the inner gradient for the Hessian, no factor lr, no direct term: two named deviations."""


def subject(inner, outer, w, phi, lr, terms):
    s = inner.grad(w, phi)
    v = total = outer.grad_w(w, phi)
    for _ in range(terms):
        v = v - lr * s * (s @ v)
        total = total + v
    return -inner.mixed(w, phi, total)
