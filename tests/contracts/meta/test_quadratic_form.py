"""The quadratic form and least squares written as one, against series and against the loss in its usual form."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts.meta.quadratic_form import QuadraticForm, mean_squares_form
from refgrad.contracts.tools import EXACT_TABLE, Quadratic
from refgrad.contracts.tools.assemble import identity
from refgrad.errors import SingularMatrix

FORM = QuadraticForm()
numbers = st.integers(-3, 3)


def still(*arrays):
    """Arrays as series that do not move."""
    return tuple(line(x, 0 * x) for x in arrays)


@settings(max_examples=20, deadline=None)
@given(st.lists(numbers, min_size=9, max_size=9))
def test_the_derivatives_of_the_form_are_those_of_its_series_for_any_symmetric_matrix(values):
    a, b, d, *rest = values
    A, (c, theta, v) = exact.asarray([[a, b], [b, d]]), exact.asarray(np.array(rest).reshape(3, 2)) / 2
    series = FORM(line(theta, v), still(A, c))
    assert FORM.grad(theta, (A, c)) @ v == exact.asarray(coefficient(series, 1))
    assert FORM.hvp(theta, (A, c), v) @ v == 2 * exact.asarray(coefficient(series, 2))
    assert np.all(FORM.hvp(theta, (A, c), v).data == coefficient(FORM.grad(line(theta, v), still(A, c)), 1))


def test_least_squares_in_this_form_is_twice_the_loss_with_one_half_up_to_its_constant():
    X, y = exact.asarray([[1, 2], [0, 1], ["1/2", -1]]), exact.asarray([1, -1, 3])
    A, c = mean_squares_form(X, y)
    half = Quadratic(EXACT_TABLE)
    assert np.all(half.grad(c, (X, y)) == 0)
    assert half(c, (X, y)) != 0
    theta, v = exact.asarray([2, "-1/3"]), exact.asarray([1, 5])
    assert FORM(theta, (A, c)) == 2 * half(theta, (X, y)) - 2 * half(c, (X, y))
    assert np.all(FORM.grad(theta, (A, c)) == 2 * half.grad(theta, (X, y)))
    assert np.all(FORM.hvp(theta, (A, c), v) == 2 * half.hvp(theta, (X, y), v))


def test_least_squares_with_dependent_columns_has_no_centre():
    with pytest.raises(SingularMatrix):
        mean_squares_form(exact.asarray([[1, 2], [2, 4], [3, 6]]), exact.asarray([1, 0, 0]))


def test_the_identity_is_of_the_kind_of_its_matrix():
    A = exact.asarray([[5, 7, 1], [7, 0, 2], [1, 2, 3]])
    assert np.all(identity(A) @ A == A)
    assert type(identity(exact.balls(A))) is type(exact.balls(A))
