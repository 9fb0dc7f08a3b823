"""Determinants have the derivatives of a polynomial, at every rank and to every order."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.compositions import directional
from helpers.jets import coefficient, line
from helpers.kinds import ROUNDOFF, contains, table
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, value_and_grad
from refgrad.autodiff.rules import determinant
from refgrad.errors import SingularMatrix

la = rnp.linalg


@st.composite
def of_rank(draw, n, rank):
    if rank == n:
        return draw(table(n, n))
    return draw(table(n, rank)) @ draw(table(rank, n)) if rank else np.zeros((n, n), int).astype(object)


@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (2, 0), (3, 3), (3, 2), (3, 1), (3, 0), (4, 3), (4, 2)])
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_the_derivatives_of_det_are_those_of_a_polynomial_at_every_rank(n, rank, data):
    a, v = exact.asarray(data.draw(of_rank(n, rank))), exact.asarray(data.draw(table(n, n)))
    series = la.det(line(a, v))  # by Leibniz
    assert la.det(a) == exact.asarray(coefficient(series, 0))
    for order, factorial in ((1, 1), (2, 2), (3, 6)):
        truth = exact.asarray(factorial * coefficient(series, order))
        for modes, found in directional(la.det, a, v, order).items():
            assert found == truth, modes


@pytest.mark.parametrize("directions", range(4))
@pytest.mark.parametrize(("n", "rank"), [(1, 1), (2, 1), (3, 3), (3, 2), (4, 2), (5, 4), (5, 0)])
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_the_floating_cofactors_of_every_order_and_rank_are_the_exact_ones_to_rounding(n, rank, directions, data):
    a = np.asarray(data.draw(of_rank(n, rank)), object)
    es = [data.draw(table(n, n)) for _ in range(directions)]
    truth = determinant.cofactor(*map(exact.asarray, (a, *es))).astype(float)
    floats = [x.astype(float) for x in (a, *es)]
    found = determinant.cofactor(*floats)
    # a sum of products of n - 1 numbers, no larger than the norms; the factors U and V are orthogonal to rounding
    norms = [np.linalg.norm(x) for x in floats]
    terms = np.prod([n ** (directions + 1), *range(1, directions + 2)])
    scale = np.prod(norms[1:]) * max(norms[0], 1) ** max(n - 1 - directions, 0)
    assert np.abs(found - truth).max() <= 16 * n * terms * scale * ROUNDOFF
    assert determinant.cofactor(*(x.astype("float32") for x in floats)).dtype == np.float32


def test_cofactors_of_a_stack_are_the_stack_of_cofactors_with_nan_kept_to_its_own_matrix():
    a = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
    a[1, 0, 2, 2] = np.nan
    e = np.random.default_rng(1).normal(size=(2, 4, 4))
    found = determinant.cofactor(a, e, e[0])
    for i, j in np.ndindex(3, 2):
        assert np.array_equal(found[i, j], determinant.cofactor(a[i, j], e[j], e[0]), equal_nan=True)
    assert np.isnan(found[1, 0]).all()
    assert np.isnan(found).sum() == 16


def test_the_determinant_of_nothing_is_one_and_has_a_gradient_of_its_shape():
    value, gradient = value_and_grad(la.det)(np.zeros((0, 0)))
    assert value == 1
    assert gradient.shape == (0, 0)


def test_slogdet_has_the_inverse_as_its_gradient_and_a_sign_without_one():
    a = [[1, 2], [3, 4]]
    sign, logabsdet = la.slogdet(exact.balls(a))
    assert sign == -1
    assert contains(rnp.exp(logabsdet), 2)
    gradient = grad(lambda a: la.slogdet(a).logabsdet)(exact.balls(a))
    assert contains(gradient, [[-2, "3/2"], [1, "-1/2"]])
    floats = np.array(a, float)
    assert (grad(lambda a: la.slogdet(a).sign * a[0, 0])(floats) == [[-1, 0], [0, 0]]).all()
    assert grad(lambda a: la.slogdet(a)[1])(np.diag([1e-200, 1e-200])).tolist() == [[1e200, 0], [0, 1e200]]
    assert la.slogdet(np.zeros((2, 2))) == (0, -np.inf)
    with pytest.raises(SingularMatrix):
        grad(lambda a: la.slogdet(a).logabsdet)(np.zeros((2, 2)))
