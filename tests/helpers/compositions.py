"""All compositions of forward and reverse mode up to an order, against the truncated Taylor series of an oracle."""

from __future__ import annotations

import itertools
import math

import numpy as np

from helpers.jets import Jet, line
from refgrad import exact, grad, jvp
from refgrad.numpy import sum as total


def along_forward(f, vs):
    return lambda *x: jvp(f, x, vs)[1]


def along_reverse(f, vs):
    def derivative(*x):
        g = grad(f, tuple(range(len(x))))(*x)
        return sum((total(a * b) for a, b in zip(g[1:], vs[1:], strict=True)), total(g[0] * vs[0]))

    return derivative


MODES = {"forward": along_forward, "reverse": along_reverse}


def compositions(f, xs, vs, orders=(1, 2, 3)):
    """Every derivative of the scalar f at xs along vs: (modes, number) for each word of modes of each order."""
    for order in orders:
        for modes in itertools.product(MODES, repeat=order):
            g = f
            for mode in modes:
                g = MODES[mode](g, tuple(vs))
            yield modes, g(*xs)


def directional(f, x, v, order):
    """``D^order f(x)[v, ..., v]`` of a scalar f of one array, by the modes that compute it."""
    return dict(compositions(f, (x,), (v,), (order,)))


def along(xs, vs):
    """Object arrays of the series ``x + t v``, for any code that does arithmetic on objects, such as NumPy's own."""
    return [line(x, v).data for x, v in zip(xs, vs, strict=True)]


def assert_derivatives(f, xs, vs, series, orders=(1, 2, 3)):
    """The array-valued f has at xs along vs the Taylor coefficients `series`, in every composition of modes.

    On rationals the two are equal; on balls they overlap, and the derivative is narrow.
    """
    series = np.asarray(series, object)
    y = f(*xs)
    assert y.shape == series.shape
    weights = np.random.default_rng(2).integers(1, 6, size=y.shape).astype(object)
    constants = exact.asarray(weights)
    coefficients = [
        sum((w * Jet.of(s).c[k] for w, s in zip(weights.ravel(), series.ravel(), strict=True)), 0) for k in range(4)
    ]
    scalar = lambda *x: total(constants * f(*x))
    for modes, found in [((), scalar(*xs)), *compositions(scalar, xs, vs, orders)]:
        truth = coefficients[len(modes)] * math.factorial(len(modes))
        if y.dtype == "rational":
            assert found == exact.asarray(truth), (modes, truth, found)
        else:
            assert exact.balls(truth).data.item().overlaps(found.data.item()), (modes, truth, found)
            assert found.data.item().rad() < 1e-30, modes
