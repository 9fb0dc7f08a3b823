"""Reverse over reverse in torch."""

import torch


def subject(f, x, v):
    (g,) = torch.autograd.grad(f(x), x, create_graph=True)
    if not g.requires_grad:  # f is linear
        return torch.zeros_like(x)
    (product,) = torch.autograd.grad(g, x, grad_outputs=v, allow_unused=True)
    return torch.zeros_like(x) if product is None else product
