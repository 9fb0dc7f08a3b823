"""Right, and then writes into x."""


def subject(f, x):
    g = f.grad(x)
    x *= 0
    return g
