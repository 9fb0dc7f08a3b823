"""A copy of the parameters for each task, trained by torch.optim.SGD; its query gradients are added up."""

import torch

REFUSES = "lr negative"


def subject(loss, theta, tasks, lr, steps):
    total = torch.zeros_like(theta)
    for support, query in tasks:
        twin = torch.nn.Parameter(theta.detach().clone())
        optimizer = torch.optim.SGD([twin], lr)
        for _ in range(steps):
            optimizer.zero_grad()
            loss(twin, support).backward()
            optimizer.step()
        optimizer.zero_grad()
        loss(twin, query).backward()
        total += twin.grad / len(tasks)
    return total
