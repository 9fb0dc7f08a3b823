"""torch.autograd.functional.hessian, and torch.linalg.solve."""

import torch
from torch.autograd.functional import hessian


def subject(loss, theta, adapted, tasks, lam):
    answers = []
    for point, (support, query) in zip(adapted, tasks, strict=True):
        phi = point.detach().requires_grad_()
        (g,) = torch.autograd.grad(loss(phi, query), phi)
        matrix = torch.eye(len(phi), dtype=phi.dtype) + hessian(lambda x, b=support: loss(x, b), phi.detach()) / lam
        answers.append(torch.linalg.solve(matrix, g))
    return torch.stack(answers).mean(dim=0)
