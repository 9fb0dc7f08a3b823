"""A loader that hands over one batch of at most thirty-two examples."""

from formulas import true


def subject(logits, theta, X, y):
    return true(logits, theta, X[:32])
