"""Puts the weights back in place before the backward pass, whose second layer then reads those of the start."""

import torch


def subject(loss, theta, tasks, lr, steps):
    weights = theta.detach().clone().requires_grad_()
    start, total = weights.detach().clone(), 0
    for support, query in tasks:
        for _ in range(steps):
            (g,) = torch.autograd.grad(loss(weights, support), weights)
            weights.data -= lr * g
        total = total + loss(weights, query)
        weights.data.copy_(start)
    (total / len(tasks)).backward()
    return weights.grad
