"""Conjugate gradients stopped after ten iterations, whatever the number of weights: right up to ten of them."""


def subject(inner, outer, w, phi):
    x, r = 0 * w, outer.grad_w(w, phi)
    p = r
    for _ in range(10):
        square = r @ r
        if square <= 1e-40:
            break
        q = inner.hvp(w, phi, p)
        x, r = x + square / (p @ q) * p, r - square / (p @ q) * q
        p = r + (r @ r) / square * p
    return outer.grad_phi(w, phi) - inner.mixed(w, phi, x)
