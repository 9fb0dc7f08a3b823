"""Zero from the third parameter on."""


def subject(f, x):
    g = f.grad(x).copy()
    g[3:] = 0
    return g
