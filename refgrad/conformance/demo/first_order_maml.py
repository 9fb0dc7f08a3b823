"""MAML on NumPy, with its usual mistake: the query gradient at the adapted parameters is returned as it is."""

from __future__ import annotations

from typing import Any


def maml(loss: Any, theta: Any, tasks: Any, lr: float, steps: int) -> Any:
    """The meta-gradient: adapt on the support set, then average the query gradients."""
    total = 0.0
    for support, query in tasks:
        fast = theta.copy()
        for _ in range(steps):
            fast = fast - lr * loss.grad(fast, support)
        total = total + loss.grad(fast, query)
    return total / len(tasks)
