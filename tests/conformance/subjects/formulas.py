"""What several of the functions under test are made of."""

import numpy as np
from scipy.special import softmax


def scores(logits, theta, X):
    """Probabilities, shape (N, C), and the scores of every label, shape (N, C, p)."""
    p, J = softmax(logits(theta, X), axis=1), logits.jacobian(theta, X)
    return p, J - np.matmul(p[:, None], J)


def true(logits, theta, X):
    """The diagonal of the Fisher information."""
    p, s = scores(logits, theta, X)
    return (p[:, :, None] * s**2).sum(1).mean(0)


def adjoint(loss, theta, support, query, lr, steps):
    """The MAML gradient of one task."""
    path = [theta]
    for _ in range(steps):
        path.append(path[-1] - lr * loss.grad(path[-1], support))
    v = loss.grad(path.pop(), query)
    while path:
        v = v - lr * loss.hvp(path.pop(), support, v)
    return v


def shrunk(weights, support, target):
    """Weights moved towards `target` until one of the support is zero, and the support without those that are."""
    now = weights[support]
    falling = np.flatnonzero(target <= 0)
    room = now[falling] - target[falling]
    steps = np.divide(now[falling], room, out=np.zeros_like(room), where=room > 0)
    moved = now + steps.min() * (target - now)
    moved[falling[np.argmin(steps)]] = 0
    weights = np.zeros_like(weights)
    weights[support] = np.maximum(moved, 0)
    return weights, [k for k in support if weights[k] > 0]
