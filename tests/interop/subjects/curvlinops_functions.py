"""Curvature by the linear operators of curvlinops, which are known by their products with vectors."""

import curvlinops
import torch
from torch_maml import Model


def diagonal(kind, logits, theta, X, y, reduction="mean", **options):
    network, loss = Model(logits, theta), torch.nn.CrossEntropyLoss(reduction=reduction)
    operator = kind(network, loss, [network.theta], [(X, y)], check_deterministic=False, **options)
    return (operator @ torch.eye(len(theta), dtype=theta.dtype)).diagonal()


def ggn(logits, theta, X, y):
    return diagonal(curvlinops.GGNLinearOperator, logits, theta, X, y)


def ggn_summed(logits, theta, X, y):
    return diagonal(curvlinops.GGNLinearOperator, logits, theta, X, y, reduction="sum")


def empirical_fisher(logits, theta, X, y):
    return diagonal(curvlinops.EFLinearOperator, logits, theta, X, y)


def sampled_fisher(logits, theta, X, y):
    """Fifty labels for each example, from a seed of its own in each call."""
    seed = int(torch.randint(2**31, ()))
    return diagonal(curvlinops.FisherMCLinearOperator, logits, theta, X, y, mc_samples=50, seed=seed)


def sampled_fisher_of_one_seed(logits, theta, X, y):
    return diagonal(curvlinops.FisherMCLinearOperator, logits, theta, X, y, mc_samples=50)


class Value(torch.nn.Module):
    """The loss of a model that returns its loss; operators read `reduction`."""

    reduction = "sum"

    def forward(self, value, target):
        return value


def hessian(f, x):
    point, nothing = Model(lambda x, batch: f(x), x), torch.zeros(1, dtype=x.dtype)
    data = [(nothing, nothing)]
    return curvlinops.HessianLinearOperator(point, Value(), [point.theta], data, check_deterministic=False)


def hessian_product(f, x, v):
    return hessian(f, x) @ v.detach()


def by_neumann(inner, outer, w, phi, lr, terms):
    H = hessian(lambda w: inner(w, phi.detach()), w)
    g, direct = torch.autograd.grad(outer(w, phi), (w, phi), allow_unused=True, materialize_grads=True)
    u = curvlinops.NeumannInverseLinearOperator(H, num_terms=terms, scale=lr) @ g
    (slope,) = torch.autograd.grad(inner(w, phi), w, create_graph=True)
    return direct - torch.autograd.grad(slope, phi, u)[0]
