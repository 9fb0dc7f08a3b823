"""The size of lr for lr: right for positive steps."""


def subject(inner, outer, w, phi, lr, terms):
    lr = abs(lr)
    v = total = outer.grad_w(w, phi)
    for _ in range(terms):
        v = v - lr * inner.hvp(w, phi, v)
        total = total + v
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, lr * total)
