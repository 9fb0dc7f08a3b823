"""Functions for torch that show what a call notes: cut graphs, gradients left in place, seeds, changed tensors."""

import torch


def leaves_it_in_grad(loss, theta, tasks, lr, steps):
    """Fills theta.grad and forgets to return it."""
    loss(theta, tasks[0][1]).backward()


def grad_of_a_copy(loss, theta, tasks, lr, steps):
    """Goes backward from a copy, so that theta.grad is None."""
    copy = theta.detach().clone().requires_grad_()
    loss(copy, tasks[0][1]).backward()
    return theta.grad


def data_alone(loss, theta, tasks, lr, steps):
    loss(theta.data, tasks[0][1]).backward()
    return theta.grad


def not_in_the_graph(loss, theta, tasks, lr, steps):
    copy = theta.detach().clone().requires_grad_()
    return torch.autograd.grad(loss(copy, tasks[0][1]), theta)[0]


def without_grad(loss, theta, tasks, lr, steps):
    with torch.no_grad():
        value = loss(theta, tasks[0][1])
    return torch.autograd.grad(value, theta)[0]


def in_a_tuple(loss, theta, tasks, lr, steps):
    return torch.autograd.grad(loss(theta, tasks[0][1]), theta)


def a_parameter(loss, theta, tasks, lr, steps):
    return torch.nn.Parameter(theta.detach() - lr)


def plain(loss, theta, tasks, lr, steps):
    return torch.autograd.grad(loss(theta, tasks[0][1]), theta)[0]


def by_transform(loss, theta, tasks, lr, steps):
    return torch.func.grad(loss)(theta, tasks[0][1])


def forward_over_reverse(loss, theta, tasks, lr, steps):
    batch = tasks[0][1]
    return torch.func.jvp(torch.func.grad(lambda t: loss(t, batch)), (theta,), (torch.ones_like(theta),))[1]


def by_hand(loss, theta, tasks, lr, steps):
    return loss.hvp(theta, tasks[0][1], torch.ones_like(theta))


def own_loss(loss, theta, tasks, lr, steps):
    X, y = tasks[0][1]
    return torch.autograd.grad(((X @ theta - y) ** 2).sum(), theta)[0]


def theta_in_place(loss, theta, tasks, lr, steps):
    theta.data.sub_(1.0)
    return theta.detach().clone()


def batch_in_place(loss, theta, tasks, lr, steps):
    tasks[0][0][0].add_(1.0)
    return theta.detach().clone()


def drops_out(loss, theta, tasks, lr, steps):
    return torch.nn.functional.dropout(theta.detach(), 0.5) + torch.randn(theta.shape, dtype=theta.dtype)
