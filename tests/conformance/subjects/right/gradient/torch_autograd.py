"""Reverse mode in torch."""

import torch


def subject(f, x):
    (g,) = torch.autograd.grad(f(x), x)
    return g
