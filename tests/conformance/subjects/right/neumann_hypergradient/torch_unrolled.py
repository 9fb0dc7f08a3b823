"""torch: ``terms + 1`` steps of gradient descent from the solution, which is held fixed, differentiated."""

import torch


def subject(inner, outer, w, phi, lr, terms):
    x = w.detach().requires_grad_()
    for _ in range(terms + 1):
        (slope,) = torch.autograd.grad(inner(x, phi), x, create_graph=True)
        x = x - lr * slope
    return torch.autograd.grad(outer(x, phi), phi)[0]
