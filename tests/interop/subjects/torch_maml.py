"""MAML with torch.autograd, right and in the ways in which it goes wrong."""

import torch


def adapted(loss, theta, support, lr, steps, create_graph):
    fast = theta
    for _ in range(steps):
        (gradient,) = torch.autograd.grad(loss(fast, support), fast, create_graph=create_graph)
        fast = fast - lr * gradient
    return fast


def first_order(loss, theta, tasks, lr, steps):
    """The inner gradients carry no graph, so the outer derivative sees constants."""
    total = sum(loss(adapted(loss, theta, support, lr, steps, False), query) for support, query in tasks)
    return torch.autograd.grad(total / len(tasks), theta)[0]


def second_order(loss, theta, tasks, lr, steps):
    total = sum(loss(adapted(loss, theta, support, lr, steps, True), query) for support, query in tasks)
    return torch.autograd.grad(total / len(tasks), theta)[0]


def hessian_product(loss, theta, batch, v):
    theta = theta.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(theta, batch), theta, create_graph=True)
    return torch.autograd.grad(gradient @ v, theta)[0]


def reversed_product(loss, theta, tasks, lr, steps):
    """Explicit Hessian-vector products, the first step's first."""
    total = torch.zeros_like(theta)
    for support, query in tasks:
        path = [theta.detach().requires_grad_()]
        for _ in range(steps):
            (gradient,) = torch.autograd.grad(loss(path[-1], support), path[-1])
            path.append((path[-1] - lr * gradient).detach().requires_grad_())
        (v,) = torch.autograd.grad(loss(path[-1], query), path[-1])
        for point in path[:-1]:
            v = v - lr * hessian_product(loss, point, support, v)
        total = total + v
    return total / len(tasks)


class Model(torch.nn.Module):
    """A model in the contract's terms: one parameter vector; its forward pass is a function of it and of a batch."""

    def __init__(self, loss, theta):
        super().__init__()
        self.loss = loss
        self.theta = torch.nn.Parameter(theta.detach().clone())

    def forward(self, batch):
        return self.loss(self.theta, batch)


def through_a_module(loss, theta, tasks, lr, steps):
    """The usual code round an ``nn.Module``: functional_call with fast weights."""
    model = Model(loss, theta)
    total = 0.0
    for support, query in tasks:
        fast = dict(model.named_parameters())
        for _ in range(steps):
            value = torch.func.functional_call(model, fast, (support,))
            gradients = torch.autograd.grad(value, list(fast.values()), create_graph=True)
            fast = {name: p - lr * g for (name, p), g in zip(fast.items(), gradients, strict=True)}
        total = total + torch.func.functional_call(model, fast, (query,))
    (total / len(tasks)).backward()
    return model.theta.grad
