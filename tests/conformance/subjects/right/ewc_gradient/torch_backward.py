"""The backward pass of the penalty in torch."""

import torch


def subject(theta, theta_star, fisher, lam):
    penalty = lam / 2 * torch.sum(fisher.detach() * (theta - theta_star.detach()) ** 2)
    penalty.backward()
    return theta.grad
