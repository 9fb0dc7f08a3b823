"""The losses and logits of the contracts: every derivative derived by hand equals the one of truncated series."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawing import Rationals, draws
from helpers.jets import coefficient, line
from hypothesis import given, settings

from refgrad import exact
from refgrad.contracts import get
from refgrad.contracts.continual.logits import softmax
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.tools import EXACT_TABLE, Quadratic, Quartic

BITS = 256


def basis(n):
    return [exact.asarray([int(i == j) for j in range(n)]) for i in range(n)]


def still(batch):
    """A batch as series that do not move."""
    return tuple(line(x, 0 * x) for x in batch)


def pieces(inputs):
    """theta, one batch, and another vector of theta's shape."""
    _, theta, tasks, lr, _ = get("maml_gradient").arguments(inputs, Rationals)
    return theta, tasks[0][0], theta * lr + 1


@pytest.mark.parametrize("loss", [Quartic(EXACT_TABLE), Quadratic(EXACT_TABLE)])
@settings(max_examples=30, deadline=None)
@given(few_shot("crisp"))
def test_the_gradient_is_the_derivative_of_the_loss_in_every_direction(loss, inputs):
    theta, batch, _ = pieces(inputs)
    for i, e in enumerate(basis(len(theta))):
        assert loss.grad(theta, batch)[i] == coefficient(loss(line(theta, e), still(batch)), 1)


@pytest.mark.parametrize("loss", [Quartic(EXACT_TABLE), Quadratic(EXACT_TABLE)])
@settings(max_examples=30, deadline=None)
@given(few_shot("rough"))
def test_the_hessian_vector_product_is_the_derivative_of_the_gradient_along_the_vector(loss, inputs):
    theta, batch, v = pieces(inputs)
    assert np.all(loss.hvp(theta, batch, v).data == coefficient(loss.grad(line(theta, v), still(batch)), 1))


@pytest.mark.parametrize("loss", [Quartic(EXACT_TABLE), Quadratic(EXACT_TABLE)])
def test_the_terms_bound_the_sums_and_reach_them_when_nothing_cancels(loss):
    X, y = exact.asarray([[1, 2], [3, 1]]), exact.asarray([-1, -2])
    theta, v = exact.asarray([1, 1]), exact.asarray([2, 3])
    assert np.all(loss.grad_terms(theta, (X, y)) == loss.grad(theta, (X, y)))
    assert np.all(loss.hvp_terms(theta, (X, y), v) == loss.hvp(theta, (X, y), v))
    theta, v = exact.asarray([1, -3]), exact.asarray([2, -3])
    assert np.all(loss.grad_terms(theta, (X, y)) >= abs(loss.grad(theta, (X, y))))
    assert np.all(loss.hvp_terms(theta, (X, y), v) > abs(loss.hvp(theta, (X, y), v)))
    v = exact.asarray([2, -1])  # orthogonal to the first row: its product is a sum of terms that cancel
    first = (X[:1], y[:1])
    assert np.all(loss.hvp(theta, first, v) == 0)
    assert np.all(loss.hvp_terms(theta, first, v) > 0)


def classifiers(count=12):
    contract = get("fisher_diagonal")
    return [contract.arguments(p.inputs, Rationals) for p in draws(contract.problems["crisp"](), count)]


@pytest.mark.parametrize("arguments", classifiers(), ids=lambda a: f"{type(a[0]).__name__}-{a[2].shape[0]}")
def test_the_jacobian_of_the_logits_is_their_derivative_in_every_direction(arguments):
    logits, theta, X, _ = arguments
    J, (X,) = logits.jacobian(theta, X), still([X])
    for i, e in enumerate(basis(len(theta))):
        assert np.all(J.data[:, :, i] == coefficient(logits(line(theta, e), X), 1))


def cross_entropy(logits, theta, X, y):
    """The mean of ``log sum_c exp z_c - z_y``, written without a softmax."""
    z = logits(theta, X)
    return EXACT_TABLE.sum(EXACT_TABLE.log(EXACT_TABLE.sum(EXACT_TABLE.exp(z), 1)) - z[np.arange(len(y)), y]) / len(y)


def overlap(a, b):
    """Whether two arrays of balls may be equal, and are tight enough for that to mean something."""
    assert all(float(x.rad()) < 2.0**-100 for x in [*np.ravel(a), *np.ravel(b)])
    return all(x.overlaps(y) for x, y in zip(np.ravel(a), np.ravel(b), strict=True))


@pytest.mark.parametrize("arguments", classifiers(), ids=lambda a: f"{type(a[0]).__name__}-{a[2].shape[0]}")
def test_the_derivatives_of_the_cross_entropy_are_those_of_its_series(arguments):
    logits, theta, X, y = arguments
    v = exact.asarray([(-1) ** i * (i + 1) for i in range(len(theta))])
    with exact.precision(BITS):
        theta, X, v = exact.balls(theta), exact.balls(X), exact.balls(v)
        g, hv = logits.grad(theta, (X, y)), logits.hvp(theta, (X, y), v)
        (X,) = still([X])
        series = cross_entropy(logits, line(theta, v), X, y)
        assert overlap((g @ v).data, coefficient(series, 1))
        assert overlap((hv @ v).data, 2 * coefficient(series, 2))
        assert overlap(hv.data, coefficient(logits.grad(line(theta, v), (X, y)), 1))


def test_the_softmax_of_logits_sums_to_one_and_is_exact_for_equal_logits():
    with exact.precision(BITS):
        p = softmax(EXACT_TABLE, exact.balls(exact.asarray([[3, 3, 3, 3], [0, 1, 2, 3]])))
        assert np.all(p[0] == exact.balls(exact.asarray(["1/4"] * 4)))
        assert overlap(p[1].data.sum(), exact.balls(1).data)
