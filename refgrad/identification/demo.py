"""The first part of ``refgrad demo``: a meta-gradient step on a real model, in torch where that is installed.

The step forgets ``create_graph=True``; in NumPy, `stop_gradient` is as good.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np

from refgrad.identification.identify import identify

__all__ = ["main", "recorded"]

LR, STEPS = 0.1, 5


def main() -> int:
    """Print what the step computes; 0 if that is first order."""
    print("--- A model of one's own: what is the gradient that its training step left? (refgrad identify)\n")
    found = identify(**recorded())
    print(f"{found}\n\n--- Functions, judged on problems whose answers are known exactly (refgrad verify)")
    return int(found.name != "fomaml")


def recorded() -> dict[str, Any]:
    """What `refgrad.identify` is asked: a gradient, and what it was computed from."""
    return (in_torch if find_spec("torch") else in_numpy)()


def in_torch() -> dict[str, Any]:
    """A step in PyTorch as people write it."""
    import torch
    from torch.func import functional_call
    from torch.nn.functional import cross_entropy

    from refgrad.identification.models import torch_loss

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    tasks = [tuple((torch.randn(n, 8), torch.randint(3, (n,))) for n in (5, 9)) for _ in range(4)]
    for support, query in tasks:
        fast = dict(model.named_parameters())
        for _ in range(STEPS):
            loss = cross_entropy(functional_call(model, fast, (support[0],)), support[1])
            grads = torch.autograd.grad(loss, tuple(fast.values()))  # create_graph=True is missing
            fast = {name: p - LR * g for (name, p), g in zip(fast.items(), grads, strict=True)}
        (cross_entropy(functional_call(model, fast, (query[0],)), query[1]) / len(tasks)).backward()
    theta = dict(model.named_parameters())
    given = {"loss": torch_loss(model, cross_entropy), "theta": theta, "tasks": tasks, "lr": LR, "steps": STEPS}
    return {"output": [p.grad for p in model.parameters()], "contract": "maml_gradient"} | given


def in_numpy() -> dict[str, Any]:
    """The same in NumPy, by refgrad's derivatives."""
    from refgrad import grad, stop_gradient

    rng = np.random.default_rng(0)
    theta = {"W": rng.standard_normal((8, 16)) / 3, "w": rng.standard_normal(16)}
    tasks = [tuple((rng.standard_normal((n, 8)), rng.standard_normal(n)) for n in (5, 9)) for _ in range(4)]

    def loss(theta: Any, batch: Any) -> Any:
        X, y = batch
        return np.mean((np.tanh(X @ theta["W"]) @ theta["w"] - y) ** 2)

    def objective(theta: Any) -> Any:
        total: Any = 0
        for support, query in tasks:
            fast = theta
            for _ in range(STEPS):
                slope = grad(loss)(fast, support)
                fast = {name: p - LR * stop_gradient(slope[name]) for name, p in fast.items()}
            total = total + loss(fast, query) / len(tasks)
        return total

    given = {"loss": loss, "theta": theta, "tasks": tasks, "lr": LR, "steps": STEPS}
    return {"output": grad(objective)(theta), "contract": "maml_gradient"} | given
