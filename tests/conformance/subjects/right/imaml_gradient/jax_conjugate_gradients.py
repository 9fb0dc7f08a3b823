"""Conjugate gradients on Hessian-vector products in forward over reverse mode, two for each parameter."""

import jax
import jax.numpy as jnp


def solve(product, g):
    x, r = jnp.zeros_like(g), g
    p, square = r, r @ r
    for _ in range(2 * len(g)):
        if square == 0:
            break
        step = product(p)
        alpha = square / (p @ step)
        x, r = x + alpha * p, r - alpha * step
        p, square = r + (r @ r) / square * p, r @ r
    return x


def subject(loss, theta, adapted, tasks, lam):
    total = 0
    for point, (support, query) in zip(adapted, tasks, strict=True):

        def product(v, point=point, support=support):
            slope = jax.grad(lambda x: loss(x, support))
            return v + jax.jvp(slope, (point,), (v,))[1] / lam

        total = total + solve(product, jax.grad(loss)(point, query))
    return total / len(tasks)
