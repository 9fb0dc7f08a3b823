"""Adds up the query losses and divides them all by the size of the first task's query set."""

from formulas import adjoint


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        v = adjoint(loss, theta, support, query, lr, steps)
        total = total + len(query[1]) / len(tasks[0][1][1]) * v
    return total / len(tasks)
