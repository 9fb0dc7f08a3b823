"""A loop over examples and labels, one backward pass of torch each."""

import torch


def subject(logits, theta, X, y):
    total = torch.zeros_like(theta)
    for n in range(len(X)):
        log_p = torch.log_softmax(logits(theta, X[n : n + 1])[0], 0)
        for value in log_p:
            (score,) = torch.autograd.grad(value, theta, retain_graph=True)
            total += value.detach().exp() * score**2
    return total / len(X)
