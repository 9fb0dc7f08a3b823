"""MAML on NumPy, with the adaptation differentiated by hand."""

from __future__ import annotations

from typing import Any


def maml(loss: Any, theta: Any, tasks: Any, lr: float, steps: int) -> Any:
    """The mean over tasks of the gradient of the query loss, through the inner steps."""
    total = 0.0
    for support, query in tasks:
        path = [theta]
        for _ in range(steps):
            path.append(path[-1] - lr * loss.grad(path[-1], support))
        gradient = loss.grad(path[-1], query)
        for point in reversed(path[:-1]):
            gradient = gradient - lr * loss.hvp(point, support, gradient)
        total = total + gradient
    return total / len(tasks)
