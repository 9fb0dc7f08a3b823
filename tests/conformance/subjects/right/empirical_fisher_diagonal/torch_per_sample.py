"""Gradients of all examples at once by torch.func, vmap of grad."""

from torch.func import grad, vmap
from torch.nn.functional import cross_entropy


def subject(logits, theta, X, y):
    def loss(t, x, label):
        return cross_entropy(logits(t, x[None]), label[None])

    return vmap(grad(loss), (None, 0, 0))(theta.detach(), X, y).square().mean(0)
