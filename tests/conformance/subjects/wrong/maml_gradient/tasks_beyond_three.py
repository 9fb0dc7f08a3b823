"""Right up to three tasks; leaves out all others."""

from formulas import adjoint


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks[:3]:
        v = adjoint(loss, theta, support, query, lr, steps)
        total = total + v
    return total / min(len(tasks), 3)
