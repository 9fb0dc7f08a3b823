"""Norms and singular values are NumPy's; a norm has gradient 0 at 0, and no second derivative."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.compositions import directional
from helpers.kinds import ROUNDOFF
from helpers.strict import array_api_strict

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, value_and_grad, vjp, vmap
from refgrad.autodiff.rules import norm
from refgrad.errors import InvalidInput, NotRational, ShapeError

la = rnp.linalg


def test_ratio_is_a_quotient_that_knows_zero_over_zero_and_nothing_else_over_zero():
    a, b = np.array([0.0, 0.0, 1.0, np.nan, 6.0]), np.array([0.0, 2.0, 0.0, 0.0, 3.0])
    assert norm.ratio(a, b)[[0, 1, 4]].tolist() == [0.0, 0.0, 2.0]
    assert np.isnan(norm.ratio(a, b)[[2, 3]]).all()
    assert norm.ratio(exact.asarray(0), exact.asarray(0)) == 0
    with pytest.raises(ZeroDivisionError):
        norm.ratio(exact.asarray([1, 0]), exact.asarray([0, 0]))


def test_a_norm_at_zero_does_not_spoil_the_norms_beside_it():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    f = lambda x: rnp.sum(la.norm(x, axis=1))
    assert np.abs(grad(f)(x) - [[0.6, 0.8], [0.0, 0.0]]).max() <= ROUNDOFF
    assert (grad(f)(x) == vmap(grad(la.norm))(x)).all()
    product = hvp(f, x, np.array([[1.0, 0.0], [0.0, 0.0]]))
    # H = (I - u u^T) / |x| for one row; the other has none
    assert np.abs(product[0] - [0.64 / 5, -0.48 / 5]).max() <= ROUNDOFF
    assert np.isnan(product[1]).all()


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros(3, "float32"), array_api_strict.zeros(3)])
def test_the_square_of_a_norm_at_zero_has_no_second_derivative_rather_than_a_wrong_one(x):
    # it is 2, but every factor of the rules that would say so is 0 or does not exist
    for modes, found in directional(lambda x: la.norm(x) ** 2, x, x + 1, 2).items():
        assert np.isnan(np.asarray(found)), modes


ORDERS = [
    *((o, axis, 3) for o in (None, 1, 2, np.inf, -np.inf) for axis in (0, -1)),
    *((o, axis, 3) for o in (None, "fro", "nuc", 1, 2, np.inf, -np.inf) for axis in ((0, 1), (2, 0), (-1, 1))),
    *((o, None, 2) for o in (None, "fro", "nuc", 1, 2, np.inf, -np.inf)),
    *((o, None, 1) for o in (None, 1, 2, np.inf, -np.inf)),
    (None, None, 3),
]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("ord", "axis", "ndim"), ORDERS)
def test_norms_are_numpys_and_have_gradients_of_the_shape_of_x(ord, axis, ndim, keepdims):
    x = np.random.default_rng(0).normal(size=(3, 4, 2)[:ndim])
    expected = np.linalg.norm(x, ord, axis, keepdims)
    found = la.norm(x, ord, axis, keepdims)
    assert np.shape(found) == np.shape(expected)
    assert np.abs(found - expected).max() <= 64 * ROUNDOFF * np.max(expected)
    value, gradient = value_and_grad(lambda x: rnp.sum(np.linalg.norm(x, ord, axis, keepdims)))(x)
    assert gradient.shape == x.shape
    # a norm is homogeneous: x . grad = norm (Euler)
    assert abs(np.sum(x * gradient) - value) <= 256 * ROUNDOFF * value
    assert gradient.astype("float32").dtype == grad(lambda x: rnp.sum(la.norm(x, ord, axis)))(x.astype("float32")).dtype


def test_norms_that_take_no_root_are_exact_on_rationals():
    x = exact.asarray([["1/3", -2], [-1, "1/2"]])
    assert la.norm(x, 1) == Fraction(5, 2)
    assert la.norm(x, np.inf, axis=(1, 0)) == Fraction(5, 2)
    assert (grad(lambda x: la.norm(x, 1))(x) == [[0, -1], [0, 1]]).all()
    assert la.vector_norm(x, ord=1) == Fraction(23, 6)
    with pytest.raises(NotRational):
        la.norm(x)


def test_norms_refuse_orders_that_are_not_there():
    for x, ord, axis in ((np.ones(2), 3, None), (np.eye(2), "sum", None), (np.ones((2, 2, 2)), 1, None)):
        with pytest.raises((InvalidInput, ShapeError), match="expected"):
            vjp(lambda x, ord=ord, axis=axis: la.norm(x, ord, axis), x)
    with pytest.raises(ShapeError):
        la.norm(np.eye(2), axis=(0, 0))


@pytest.mark.parametrize("dims", [(3, 3), (4, 2), (2, 5), (2, 4, 3), (0, 2), (1, 1)])
def test_singular_values_are_numpys_and_keep_small_ones(dims):
    x = np.random.default_rng(0).normal(size=dims)
    found = la.svdvals(x)
    expected = np.linalg.svdvals(x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max(initial=0) <= 64 * ROUNDOFF * expected.max(initial=0)
    graded = la.svdvals(np.diag([1.0, 1e-10]))
    assert abs(graded[1] - 1e-10) <= 4 * ROUNDOFF


def test_the_gradient_of_singular_values_is_an_outer_product_of_singular_vectors():
    x = np.random.default_rng(0).normal(size=(5, 2))  # three eigenvalues that are zero take part
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    for k in range(2):
        gradient = grad(lambda x: la.svdvals(x)[k])(x)
        assert np.abs(gradient - np.outer(u[:, k], vt[k])).max() <= 256 * ROUNDOFF
    # the sum of fourth powers of singular values is |x^T x|^2, whose Hessian is known
    f = lambda x: rnp.sum(la.svdvals(x) ** 4)
    t = np.random.default_rng(1).normal(size=(5, 2))
    expected = 4 * (t @ x.T @ x + x @ t.T @ x + x @ x.T @ t)
    assert np.abs(hvp(f, x, t) - expected).max() <= 4096 * ROUNDOFF * s[0] ** 2 * np.abs(t).max()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_lengths_and_their_gradients_are_the_same_bits_at_every_power_of_two(dtype):
    kind = np.finfo(dtype)
    x = np.array([[1.75, -0.625], [0.5, 1.25]], dtype)
    functions = {
        "norm": rnp.linalg.norm,
        "of rows": lambda x: rnp.sum(rnp.linalg.norm(x, axis=1)),
        "hypot": lambda x: rnp.sum(rnp.hypot(x[0], x[1])),
        "std": rnp.std,
    }
    for name, f in functions.items():
        value, slope = f(x), grad(f)(x)
        for k in range(kind.minexp + kind.nmant, kind.maxexp - 3):
            z = np.ldexp(x, k)
            assert f(z) == np.ldexp(value, k), (name, k)
            assert (grad(f)(z) == slope).all(), (name, k)
