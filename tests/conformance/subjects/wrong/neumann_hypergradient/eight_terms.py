"""Terms beyond the eighth power are left out."""


def subject(inner, outer, w, phi, lr, terms):
    v = total = outer.grad_w(w, phi)
    for _ in range(min(terms, 8)):
        v = v - lr * inner.hvp(w, phi, v)
        total = total + v
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, lr * total)
