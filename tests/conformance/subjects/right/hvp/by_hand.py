"""The product by hand that the function carries."""


def subject(f, x, v):
    return f.hvp(x, v)
