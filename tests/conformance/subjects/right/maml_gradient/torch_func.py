"""torch.func: the gradient of a function of theta, tasks stacked and batched by vmap."""

import torch
from torch.func import grad, vmap

REFUSES = "sizes unequal"


def subject(loss, theta, tasks, lr, steps):
    (X, y), (X_q, y_q) = (
        tuple(torch.stack([task[place][part] for task in tasks]) for part in (0, 1)) for place in (0, 1)
    )

    def after(theta, X, y, X_q, y_q):
        for _ in range(steps):
            theta = theta - lr * grad(loss)(theta, (X, y))
        return loss(theta, (X_q, y_q))

    return grad(lambda theta: vmap(after, (None, 0, 0, 0, 0))(theta, X, y, X_q, y_q).mean())(theta.detach())
