"""A loader of batches of one, a backward pass of torch each, theta.grad squared."""

import torch
from torch.nn.functional import cross_entropy


def subject(logits, theta, X, y):
    total = torch.zeros_like(theta)
    for n in range(len(X)):
        theta.grad = None
        cross_entropy(logits(theta, X[n : n + 1]), y[n : n + 1]).backward()
        total += theta.grad**2
    return total / len(X)
