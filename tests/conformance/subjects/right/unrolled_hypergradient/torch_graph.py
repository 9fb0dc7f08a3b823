"""torch: the steps stay on the graph."""

import torch


def subject(inner, outer, w0, phi, lr, steps):
    w = w0
    for _ in range(steps):
        (slope,) = torch.autograd.grad(inner(w, phi), w, create_graph=True)
        w = w - lr * slope
    return torch.autograd.grad(outer(w, phi), phi, materialize_grads=True)[0]
