"""A backward pass for each task, gradients gathered in a module's parameter."""

import torch


class Net(torch.nn.Module):
    def __init__(self, theta):
        super().__init__()
        self.theta = torch.nn.Parameter(theta.detach().clone())


def subject(loss, theta, tasks, lr, steps):
    net = Net(theta)
    for support, query in tasks:
        fast = net.theta
        for _ in range(steps):
            (g,) = torch.autograd.grad(loss(fast, support), fast, create_graph=True)
            fast = fast - lr * g
        (loss(fast, query) / len(tasks)).backward()
    return net.theta.grad
