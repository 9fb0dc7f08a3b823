"""torch in float32: Hessian-vector products by functorch, mapped over the unit vectors, and a dense solve."""

import torch
from torch.func import grad, jvp, vmap

DTYPE = "float32"


def subject(inner, outer, w, phi):
    w, phi = w.detach(), phi.detach()
    H = vmap(lambda e: jvp(lambda x: grad(inner)(x, phi), (w,), (e,))[1])(torch.eye(len(w)))
    u = torch.linalg.solve(H, grad(outer)(w, phi))
    return grad(outer, 1)(w, phi) - grad(lambda p: grad(inner)(w, p) @ u)(phi)
