"""Reverse over reverse in torch, in single precision."""

import torch

DTYPE = "float32"
PARAMS = {"op": "logsumexp", "order": 2}


def subject(x, u, v):
    y = x.detach().clone().requires_grad_()
    (g,) = torch.autograd.grad(torch.logsumexp(y, 0), y, create_graph=True)
    (product,) = torch.autograd.grad(g @ u, y)
    return product @ v
