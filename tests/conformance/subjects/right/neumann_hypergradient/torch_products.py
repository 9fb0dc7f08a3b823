"""torch: products with the Hessian from one graph of the inner gradient, which is kept."""

import torch


def subject(inner, outer, w, phi, lr, terms):
    (slope,) = torch.autograd.grad(inner(w, phi), w, create_graph=True)
    g, d = torch.autograd.grad(outer(w, phi), (w, phi), materialize_grads=True)
    v = total = g
    for _ in range(terms):
        v = v - lr * torch.autograd.grad(slope, w, v, retain_graph=True)[0]
        total = total + v
    return d - torch.autograd.grad(slope, phi, lr * total)[0]
