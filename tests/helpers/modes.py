"""Directional derivatives of any order, in every composition of forward and reverse mode."""

from __future__ import annotations

import itertools

from refgrad import grad, jvp
from refgrad.numpy import sum as total


def forward(f, v):
    return lambda x: jvp(f, (x,), (v,))[1]


def reverse(f, v):
    return lambda x: total(grad(f)(x) * v)


MODES = {"forward": forward, "reverse": reverse}


def directional(f, x, v, order):
    """``D^order f(x)[v, ..., v]`` of a scalar f, by the modes that compute it."""
    found = {}
    for modes in itertools.product(MODES, repeat=order):
        g = f
        for mode in modes:
            g = MODES[mode](g, v)
        found[modes] = g(x)
    return found
