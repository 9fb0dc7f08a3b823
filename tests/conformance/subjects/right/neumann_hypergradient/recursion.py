"""The recursion with one Hessian-vector product a term, the sum kept beside it."""


def subject(inner, outer, w, phi, lr, terms):
    v = total = outer.grad_w(w, phi)
    for _ in range(terms):
        v = v - lr * inner.hvp(w, phi, v)
        total = total + v
    return outer.grad_phi(w, phi) - lr * inner.mixed(w, phi, total)
