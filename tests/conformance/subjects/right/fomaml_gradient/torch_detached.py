"""Inner gradients without their graph: the backward pass goes through the sums alone."""

import torch


def subject(loss, theta, tasks, lr, steps):
    total = 0
    for support, query in tasks:
        fast = theta
        for _ in range(steps):
            (g,) = torch.autograd.grad(loss(fast, support), fast)
            fast = fast - lr * g
        total = total + loss(fast, query)
    return torch.autograd.grad(total / len(tasks), theta)[0]
