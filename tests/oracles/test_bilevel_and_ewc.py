"""Closed forms of quadratic problems: differences of a quadratic are its derivatives exactly, so they prove them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact, oracles


def slope(f, x):
    """The gradient of a polynomial of degree two, from symmetric differences with step 1."""
    units = [exact.asarray([int(i == j) for j in range(len(x))]) for i in range(len(x))]
    return [(f(x + e) - f(x - e)) / 2 for e in units]


def equal(a, b):
    return all(x == y for x, y in zip(a, b, strict=True))


def test_the_probe_has_its_known_solution_and_hypergradient():
    problem, w, phi = oracles.probe()
    assert np.all(problem.solution(phi) == w)
    assert list(exact.to_fractions(problem.hypergradient(phi).value)) == [
        Fraction(-4, 5),
        Fraction(-4, 5),
        Fraction(-6, 5),
    ]


def test_the_inner_loss_is_stationary_at_the_solution():
    problem, w, phi = oracles.probe()
    assert equal(slope(lambda w: problem.inner(w, phi), w), [0, 0, 0])
    assert not equal(slope(lambda w: problem.inner(w, phi), w + 1), [0, 0, 0])


numbers = st.integers(-3, 3)


@settings(max_examples=30, deadline=None)
@given(st.lists(numbers, min_size=33, max_size=33))
def test_the_hypergradient_is_the_slope_of_the_outer_loss_along_the_solution(values):
    v = iter(values)

    def array(*shape):
        return exact.asarray(np.array([next(v) for _ in range(int(np.prod(shape)))], object).reshape(shape))

    L = exact.asarray([[1, 0], [next(v), 1]])
    H = L @ exact.asarray([[2, 0], [0, 3]]) @ L.T
    symmetric = [array(2, 2), array(3, 3)]
    problem = oracles.QuadraticBilevel(
        H=H,
        C=array(2, 3),
        c=array(2),
        Q=symmetric[0] + symmetric[0].T,
        t=array(2),
        R=exact.asarray([[1, 0, 2], [0, -1, 1]]),
        P=symmetric[1] + symmetric[1].T,
        q=array(3),
    )
    phi = array(3)
    answer = problem.hypergradient(phi)
    assert equal(answer.value, slope(lambda phi: problem.outer(problem.solution(phi), phi), phi))
    assert np.all(abs(answer.value) <= answer.magnitude)


def test_the_ewc_penalty_has_its_factor_one_half_and_its_gradient():
    theta, star = exact.asarray([1, "1/2", -3]), exact.asarray([0, 2, 1])
    fisher, lam = exact.asarray([2, "1/3", 5]), exact.asarray("3/4")
    penalty = oracles.ewc_penalty(theta, star, fisher, lam)
    assert penalty.value == Fraction(3, 8) * (2 * 1 + Fraction(1, 3) * Fraction(9, 4) + 5 * 16)
    assert penalty.magnitude == penalty.value
    gradient = oracles.ewc_gradient(theta, star, fisher, lam).value
    v = exact.asarray([1, -2, 3])
    still = [line(x, 0 * x) for x in (star, fisher, lam)]
    assert gradient @ v == exact.asarray(coefficient(oracles.ewc_penalty(line(theta, v), *still).value, 1))
    assert np.all(oracles.ewc_gradient(star, star, fisher, lam).value == 0)
