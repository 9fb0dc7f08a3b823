"""The Hessian with 1e-15 added to its diagonal."""


def subject(f, x, v):
    return f.hvp(x, v) + 1e-15 * v
