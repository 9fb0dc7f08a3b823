"""Running products at zeros, and the smooth functions at the far ends of their range."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.compositions import compositions
from helpers.jets import JetArray, coefficient, line

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp, jvp, vmap
from refgrad.autodiff.rules.scan import recurrence

WEIGHTS = exact.asarray([2, -1, 3, 1])


@pytest.mark.parametrize("x", list(itertools.product([0, 2, -3], repeat=3)), ids=str)
def test_products_have_their_derivatives_to_third_order_whatever_is_zero(x):
    x = exact.asarray([*x, 5])
    v = exact.asarray([1, -2, 3, 1])
    series = np.cumprod(line(x, v).data)
    for f, terms in (
        (lambda x: rnp.prod(x), [0, 0, 0, 1]),
        (lambda x: rnp.cumprod(x) @ WEIGHTS, [2, -1, 3, 1]),
    ):
        for order in (1, 2, 3):
            taylor = coefficient(JetArray(series), order)
            truth = math.factorial(order) * sum(w * t for w, t in zip(terms, taylor, strict=True))
            for modes, found in compositions(f, (x,), (v,), (order,)):
                assert found == exact.asarray(truth), modes


def test_the_gradient_of_a_product_is_the_product_of_the_others():
    x = np.array([[2.0, 0.0], [3.0, 0.0]])
    assert grad(rnp.prod)(x).tolist() == [[0, 0], [0, 0]]
    assert grad(lambda x: rnp.prod(x[:, 0]) + rnp.prod(x[0]))(x).tolist() == [[3, 2], [2, 0]]
    assert hessian(lambda x: rnp.prod(x))(np.array([0.0, 0.0, 4.0])).tolist() == [[0, 4, 0], [4, 0, 0], [0, 0, 0]]
    assert rnp.prod(np.ones((2, 0)), axis=1).tolist() == [1, 1]
    assert rnp.prod(np.ones((2, 0))).tolist() == 1
    x = np.arange(1.0, 25.0).reshape(2, 3, 4)
    for axis in (None, 0, 1, -1, (0, 2), ()):
        for keepdims in (False, True):
            found = rnp.prod(x, axis, keepdims=keepdims)
            assert found.shape == np.prod(x, axis=axis, keepdims=keepdims).shape
            assert np.allclose(found, np.prod(x, axis=axis, keepdims=keepdims), rtol=1e-14)
    assert grad(lambda x: np.sum(np.prod(x, axis=1)))(x).shape == x.shape
    assert rnp.cumsum(x).tolist() == np.cumsum(x).tolist()
    assert np.allclose(rnp.cumprod(x, axis=-2), np.cumprod(x, axis=-2), rtol=1e-14)
    assert rnp.cumsum(np.ones((2, 0)), axis=1).shape == (2, 0)
    assert vmap(grad(rnp.prod))(np.array([[0.0, 2.0], [3.0, 4.0]])).tolist() == [[2, 0], [4, 3]]


FAR = np.array([-1e308, -750.0, -40.0, -1e-300, 0.0, 1e-17, 1e-8, 40.0, 750.0, 1e308])


@pytest.mark.parametrize("name", ["logistic", "softplus", "expm1", "log1p", "arctan"])
def test_smooth_functions_and_their_slopes_are_accurate_over_the_whole_range(name):
    f = getattr(rnp, name)
    slope = lambda x: grad(lambda y: rnp.sum(f(y)))(x)
    x = {"log1p": np.abs(FAR), "expm1": FAR[np.abs(FAR) < 700], "arctan": FAR[np.abs(FAR) < 1e150]}.get(name, FAR)
    assert np.isfinite(f(x)).all()
    assert np.isfinite(slope(x)).all()
    for inside in x[np.abs(x) <= 40]:
        for g in (f, slope):
            found = g(np.array([inside]))
            # beyond 2^-1022 the spacing of floats is absolute
            truth = exact.evaluate(g, np.array([inside]))
            size = max(abs(truth.high[0]), Fraction(1, 2**1000))
            assert exact.error(found, truth) <= size * 8 / 2**53, (g, inside)


def test_smooth_functions_keep_float32_and_agree_with_their_definitions():
    x = np.linspace(-3, 3, 13, dtype=np.float32)
    for f, by_hand in (
        (rnp.logistic, lambda x: 1 / (1 + np.exp(-x))),
        (rnp.softplus, lambda x: np.log(1 + np.exp(x))),
        (rnp.expm1, np.expm1),
        (rnp.arctan, np.arctan),
    ):
        assert f(x).dtype == np.float32
        assert hvp(lambda y, f=f: rnp.sum(f(y)), x, x).dtype == np.float32
        assert np.abs(f(x) - by_hand(x.astype(float))).max() <= 1e-5


def test_a_recurrence_is_linear_in_what_is_added():
    a, b, v = (exact.asarray(x) for x in ([5, 2, 3], [7, 0, -1], [1, 10, 100]))
    value, tangent = jvp(lambda b: recurrence(a, b, axis=0), (b,), (v,))
    assert (value == exact.asarray([7, 14, 41])).all()
    assert (tangent == exact.asarray([1, 12, 136])).all()
