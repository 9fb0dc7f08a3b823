"""Random programs: both modes are transposes, all compositions agree, and floats are where the certified balls are.

All are compared with the Taylor coefficients of the program run on truncated series, on rationals with ==.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from helpers.jets import JetArray, coefficient, line
from helpers.programs import SHAPES, points, programs, vectors
from hypothesis import HealthCheck, given, settings

from refgrad import exact, grad, hessian, hvp, jvp, tree, vjp, vmap
from refgrad.numpy import sum as total

many = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
pytestmark = pytest.mark.trap(20)


def scalar(program):
    """Two sums, the second of squares, so that no second derivative vanishes for want of curvature."""

    def f(point):
        first, second = program(point)
        return total(first) * 2 + total(second * second)

    return f


def along_forward(f, v):
    return lambda x: jvp(f, (x,), (v,))[1]


def along_reverse(f, v):
    return lambda x: tree.dot(grad(f)(x), v)


MODES = {"forward": along_forward, "reverse": along_reverse}


def compositions(f, v, order):
    for modes in itertools.product(MODES, repeat=order):
        g = f
        for mode in modes:
            g = MODES[mode](g, v)
        yield modes, g


@many
@given(programs(), points(), vectors())
def test_the_modes_are_transposes_of_one_another_on_every_program(program, x, v):
    ys, tangents = jvp(program, (x,), (v,))
    us = [y * 3 + 1 for y in ys]
    (back,) = vjp(program, x)[1](us)
    assert sum((total(u * t) for u, t in zip(us, tangents, strict=True)), 0) == tree.dot(back, v)
    assert {name: g.shape for name, g in back.items()} == SHAPES


@many
@given(programs(), points(), vectors())
def test_all_compositions_give_the_taylor_coefficients_of_every_program_to_third_order(program, x, v):
    f = scalar(program)
    series = f({name: line(x[name], v[name]) for name in SHAPES})
    for order in (1, 2, 3):
        terms = coefficient(series, order) if isinstance(series, JetArray) else [0]
        truth = math.factorial(order) * np.ravel(terms)[0]
        for modes, g in compositions(f, v, order):
            assert g(x) == truth, modes


@many
@given(programs(), points(), vectors(), vectors())
def test_the_hessian_of_every_program_is_symmetric_and_its_batch_is_the_loop(program, x, u, v):
    f = scalar(program)
    assert tree.dot(u, hvp(f, x, v)) == tree.dot(v, hvp(f, x, u))
    h = hessian(f)(x)
    for one, other in itertools.product(SHAPES, repeat=2):
        n = len(SHAPES[one])
        swapped = np.moveaxis(h[other][one].data, range(len(SHAPES[other])), range(n, n + len(SHAPES[other])))
        assert (h[one][other].data == swapped).all()
    moved = tree.axpy(1, u, x)
    stacked = tree.map(lambda a, b: np.stack([a, b]), x, moved)
    for name, g in vmap(grad(f))(stacked).items():
        assert np.all(g[0] == grad(f)(x)[name])
        assert np.all(g[1] == grad(f)(moved)[name])


@many
@given(programs(transcendental=True), points(), vectors())
def test_balls_of_all_compositions_overlap_the_taylor_coefficients_and_hold_the_floats_on_every_program(program, x, v):
    f = scalar(program)
    floats, direction = (tree.map(lambda a: a.astype("float64"), t) for t in (x, v))
    with exact.precision(200):
        wide, ways = tree.map(exact.balls, (x, v))
        series = f({name: line(wide[name], ways[name]) for name in SHAPES})
        truths = {}
        for order in (1, 2, 3):
            truths[order] = truth = math.factorial(order) * np.ravel(coefficient(series, order))[0]
            for modes, g in compositions(f, ways, order):
                ball = g(wide).data.item()
                assert ball.overlaps(truth), modes
                assert ball.rad() <= 2.0**-100 * (1 + abs(truth)), modes
    # a float operation errs by 2^-53 of its result; where a run with 6 bits less widens its balls, it does by 2^-47
    with exact.precision(47):
        wide, ways = tree.map(exact.balls, (x, v))
        for order in (1, 2):
            for modes, g in compositions(f, ways, order):
                bounds = g(wide).data.item()
                plain = dict(compositions(f, direction, order))[modes](floats)
                assert bounds.rad() <= 2.0**-20 * (1 + abs(truths[order])), modes  # or it would hold anything
                distance = abs(type(bounds)(float(plain)) - truths[order])
                assert distance <= bounds.rad(), (modes, plain, truths[order], bounds)
