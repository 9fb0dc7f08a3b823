"""torch: the graph of the inner gradient, differentiated once for each weight and once for phi."""

import torch


def subject(inner, outer, w, phi):
    (slope,) = torch.autograd.grad(inner(w, phi), w, create_graph=True)
    H = torch.stack([torch.autograd.grad(s, w, retain_graph=True)[0] for s in slope])
    g, d = torch.autograd.grad(outer(w, phi), (w, phi), allow_unused=True, materialize_grads=True)
    u = torch.linalg.solve(H, g)
    return d - torch.autograd.grad(slope @ u, phi)[0]
