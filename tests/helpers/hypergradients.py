"""Random bilevel problems in small integers whose hypergradients are rational, of as many sizes as there are cases."""

from __future__ import annotations

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.contracts.implicit import Manufactured, QuadraticBilevel, QuadraticMap
from refgrad.contracts.tools import Quartic
from refgrad.implicit import hypergradient
from refgrad.tree import flatten

sized = pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 3), (3, 1), (2, 3), (4, 2), (3, 3)])


class Draw:
    """Arrays of small integers, none of them 0, one after the other; of the kind that `convert` makes."""

    def __init__(self, seed, convert=exact.asarray):
        self.rng, self.convert = np.random.default_rng(seed), convert

    def __call__(self, *shape):
        return self.convert((self.rng.integers(1, 4, shape) * self.rng.choice([-1, 1], shape)).astype(object))

    def eye(self, n):
        return self.convert(np.eye(n, dtype=int).astype(object))

    def definite(self, n):
        A = self(n, n)
        return A.T @ A + self.eye(n)

    def symmetric(self, n):
        A = self(n, n)
        return A + A.T

    def outer(self, n, m):
        return {"Q": self.symmetric(n), "t": self(n), "R": self(n, m), "P": self.symmetric(m), "q": self(m)}


def quadratic(seed, n, m):
    """A problem with quadratic losses, its solution, and phi."""
    draw = Draw(seed)
    problem = QuadraticBilevel(draw.definite(n), draw(n, m), draw(n), **draw.outer(n, m))
    phi = draw(m)
    return problem, problem.solution(phi), phi


def made(seed, n, m):
    """A problem whose inner loss is of degree four, with a positive definite Hessian; its solution, and phi."""
    draw = Draw(seed)
    psi = QuadraticMap(draw(n), draw(n, m), draw(n, m, m))
    mu = exact.asarray("1/2")
    problem = Manufactured(Quartic(rnp), (draw(n + 1, n), draw(n + 1)), psi, mu, **draw.outer(n, m))
    phi = draw(m) / 2
    return problem, problem.solution(phi), phi


def same(x, y):
    """Equal; of balls, that they may be, and are known to 73 bits."""
    if "ball" not in (x.dtype, y.dtype):
        return x.shape == y.shape and bool(np.all(x == y))
    (low, high), (bottom, top) = exact.bounds(x), exact.bounds(exact.balls(y))
    size = max(1, *map(abs, np.ravel(top)))
    return x.shape == y.shape and bool(np.all((low <= top) & (bottom <= high) & (high - low <= 2.0**-73 * size)))


def split(x):
    """A vector as leaves: its first number, of shape (), and the others if there are any."""
    return {"first": x[0], "rest": x[1:]} if len(x) > 1 else x[0]


def joined(tree):
    if isinstance(tree, dict):
        return rnp.concatenate([tree["first"].reshape(1), tree["rest"]])
    return tree.reshape(1)


def hypergradients(inner, outer, w, phi, **options):
    """By elimination, on vectors and on leaves, and where they can be had by conjugate gradients in rationals."""
    yield hypergradient(inner, outer, w, phi, **options).value
    in_leaves = [lambda v, p, f=f: f(joined(v), joined(p)) for f in (inner, outer)]
    found = hypergradient(*in_leaves, split(w), split(phi), **options).value
    assert [x.shape for x in flatten(found)[0]] == [x.shape for x in flatten(split(phi))[0]]
    yield joined(found)
    if w.dtype == "rational" and not options:
        yield hypergradient(inner, outer, w, phi, solver="cg").value


def has(problem, phi, truth=None, w=None, **options):
    """Whether the engine's hypergradients of a problem are `truth`, or what the problem itself knows."""
    w = problem.solution(phi) if w is None else w
    truth = problem.total_derivative(phi) if truth is None else truth
    return all(same(found, truth) for found in hypergradients(problem.inner, problem.outer, w, phi, **options))
