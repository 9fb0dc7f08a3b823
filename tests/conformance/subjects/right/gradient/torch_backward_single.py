"""Reverse mode in torch, in single precision, through .grad of a leaf."""

import torch

DTYPE = "float32"


def subject(f, x):
    leaf = torch.nn.Parameter(x.detach().clone())
    f(leaf).backward()
    return leaf.grad
