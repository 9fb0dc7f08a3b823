"""One backward pass through all tasks, in float32."""

import torch

DTYPE = "float32"


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        fast = theta
        for _ in range(steps):
            (g,) = torch.autograd.grad(loss(fast, support), (fast,), create_graph=True)
            fast = fast - lr * g
        total = total + loss(fast, query)
    return torch.autograd.grad(total / len(tasks), theta)[0]
