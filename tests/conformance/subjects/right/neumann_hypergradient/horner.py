"""Horner's rule: ``s <- g + (I - lr H) s``, in float32."""

DTYPE = "float32"


def subject(inner, outer, w, phi, lr, terms):
    g = outer.grad_w(w, phi)
    s = g
    for _ in range(terms):
        s = g + (s - lr * inner.hvp(w, phi, s))
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, lr * s)
