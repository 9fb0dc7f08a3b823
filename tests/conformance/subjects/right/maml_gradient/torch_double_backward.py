"""The recursion by Hessian-vector products, each by two backward passes; no graph is kept through the steps."""

import torch


def subject(loss, theta, tasks, lr, steps):
    total = torch.zeros_like(theta)
    for support, query in tasks:
        path = [theta.detach()]
        for _ in range(steps):
            point = path[-1].requires_grad_()
            (g,) = torch.autograd.grad(loss(point, support), point)
            path.append(point.detach() - lr * g)
        point = path.pop().requires_grad_()
        (v,) = torch.autograd.grad(loss(point, query), point)
        while path:
            point = path.pop().detach().requires_grad_()
            (g,) = torch.autograd.grad(loss(point, support), point, create_graph=True)
            (hv,) = torch.autograd.grad(g @ v, point)
            v = v - lr * hv
        total = total + v
    return total / len(tasks)
