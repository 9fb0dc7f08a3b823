"""Meta-gradients and hypergradients by torchopt, as its users call it."""

import torch
import torchopt
from torch_maml import Model
from torchopt.diff.implicit import custom_root
from torchopt.linear_solve import solve_cg, solve_inv, solve_normal_cg


def adapt_by_meta_sgd(loss, theta, tasks, lr, steps, after_step):
    model = Model(loss, theta)
    start, total = model.theta, 0.0
    initial = torchopt.extract_state_dict(model, by="reference")
    for support, query in tasks:
        optimizer = torchopt.MetaSGD(model, lr=lr)
        for _ in range(steps):
            optimizer.step(model(support))
            after_step(model)
        total = total + model(query)
        torchopt.recover_state_dict(model, initial)
    return torch.autograd.grad(total / len(tasks), start, allow_unused=True)[0]


def meta_sgd(loss, theta, tasks, lr, steps):
    return adapt_by_meta_sgd(loss, theta, tasks, lr, steps, lambda model: None)


def meta_sgd_stopped(loss, theta, tasks, lr, steps):
    """The gradient is stopped after every inner step, in the hope of first-order MAML."""
    return adapt_by_meta_sgd(loss, theta, tasks, lr, steps, torchopt.stop_gradient)


def functional_sgd(loss, theta, tasks, lr, steps):
    """Differentiable updates by gradients that carry no graph."""
    total = 0.0
    for support, query in tasks:
        optimizer, fast = torchopt.sgd(lr), (theta,)
        state = optimizer.init(fast)
        for _ in range(steps):
            gradients = torch.autograd.grad(loss(fast[0], support), fast)
            updates, state = optimizer.update(gradients, state, params=fast, inplace=False)
            fast = torchopt.apply_updates(fast, updates, inplace=False)
        total = total + loss(fast[0], query)
    return torch.autograd.grad(total / len(tasks), theta)[0]


def hypergradient(inner, outer, w, phi, solve):
    @custom_root(torch.func.grad(inner), argnums=1, solve=solve)
    def solution(start, phi):
        return start.detach()

    return torch.autograd.grad(outer(solution(w, phi), phi), phi)[0]


def by_inverse(inner, outer, w, phi):
    return hypergradient(inner, outer, w, phi, solve_inv())


def by_cg(inner, outer, w, phi):
    return hypergradient(inner, outer, w, phi, solve_cg())


def by_default(inner, outer, w, phi):
    """`custom_root` without `solve`: conjugate gradients on the normal equations."""
    return hypergradient(inner, outer, w, phi, solve_normal_cg())


def by_inverse_of_two_leaves(inner, outer, w, phi):
    """The weights in two tensors, as those of a layer and its bias are."""

    def of_leaves(leaves, phi):
        return inner(torch.cat(leaves), phi)

    @custom_root(torch.func.grad(of_leaves), argnums=1, solve=solve_inv())
    def solution(start, phi):
        return tuple(leaf.detach() for leaf in start)

    leaves = solution((w[:-1], w[-1:]), phi)
    return torch.autograd.grad(outer(torch.cat(leaves), phi), phi)[0]


def by_neumann(inner, outer, w, phi, lr, terms):
    return hypergradient(inner, outer, w, phi, solve_inv(ns=True, alpha=lr, maxiter=terms))


def by_neumann_as_is(inner, outer, w, phi):
    return hypergradient(inner, outer, w, phi, solve_inv(ns=True))


def by_neumann_inverse(inner, outer, w, phi, lr, terms):
    """The series for the inverse matrix, ``ns_inv``, where `by_neumann` has the one for a vector, ``ns``."""

    def solve(product, b):
        H = torch.func.jacfwd(lambda v: product((v,))[0])(b[0])
        return (torchopt.linalg.ns_inv(H, maxiter=terms, alpha=lr) @ b[0],)

    return hypergradient(inner, outer, w, phi, solve)
