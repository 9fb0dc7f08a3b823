"""Weights tasks by the sizes of their support sets; right where these are equal."""

from formulas import adjoint


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        v = adjoint(loss, theta, support, query, lr, steps)
        total = total + len(support[1]) * v
    return total / sum(len(support[1]) for support, _ in tasks)
