"""A copy trained by torch.optim.SGD for each task; an outer SGD of rate epsilon takes theta minus the mean."""

import torch

REFUSES = "lr negative"


def subject(loss, theta, tasks, lr, epsilon):
    meta = torch.nn.Parameter(theta.detach().clone())
    outer = torch.optim.SGD([meta], epsilon)
    gradient = torch.zeros_like(theta)
    for batches in tasks:
        twin = torch.nn.Parameter(meta.detach().clone())
        inner = torch.optim.SGD([twin], lr)
        for batch in batches:
            inner.zero_grad()
            loss(twin, batch).backward()
            inner.step()
        gradient += (meta - twin).detach() / len(tasks)
    meta.grad = gradient
    outer.step()
    return meta.detach()
