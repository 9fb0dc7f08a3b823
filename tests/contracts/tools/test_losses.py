"""The losses and logits of the contracts: every derivative derived by hand equals the one of truncated series."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.drawing import Rationals, draws
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import get
from refgrad.contracts.continual.logits import softmax
from refgrad.contracts.meta.problems import few_shot
from refgrad.contracts.tools import EXACT_TABLE, Quadratic, Quartic
from refgrad.contracts.tools.two_layers import TanhLayers, TwoLayers

BITS = 256


def basis(n):
    return [exact.asarray([int(i == j) for j in range(n)]) for i in range(n)]


def still(batch):
    """A batch as series that do not move."""
    return tuple(line(x, 0 * x) for x in batch)


def pieces(inputs, quadratic):
    """The loss of a problem, or least squares in place of a quartic; theta, one batch, another vector of its shape."""
    loss, theta, tasks, lr, _ = get("maml_gradient").arguments(inputs, Rationals)
    if quadratic and isinstance(loss, Quartic):
        loss = Quadratic(EXACT_TABLE)
    return loss, theta, tasks[0][0], theta * lr + 1


@settings(max_examples=40, deadline=None)
@given(few_shot("crisp"), st.booleans())
def test_the_gradient_is_the_derivative_of_the_loss_in_every_direction(inputs, quadratic):
    loss, theta, batch, _ = pieces(inputs, quadratic)
    for i, e in enumerate(basis(len(theta))):
        assert loss.grad(theta, batch)[i] == coefficient(loss(line(theta, e), still(batch)), 1)


@settings(max_examples=40, deadline=None)
@given(few_shot("rough"), st.booleans())
def test_the_hessian_vector_product_is_the_derivative_of_the_gradient_along_the_vector(inputs, quadratic):
    loss, theta, batch, v = pieces(inputs, quadratic)
    assert np.all(loss.hvp(theta, batch, v).data == coefficient(loss.grad(line(theta, v), still(batch)), 1))


def test_derivatives_through_the_hyperbolic_tangent_are_those_of_its_series():
    loss, a = TanhLayers(EXACT_TABLE, 2, 1), exact.asarray
    with exact.precision(BITS):
        theta, v = (exact.balls(a(x)) for x in (["1/2", -1, 2, "1/3", 1, -2], [1, 2, -1, "1/5", -3, 1]))
        batch = tuple(exact.balls(a(x)) for x in ([[1, 2], [-1, "1/2"]], [1, -2], [3, 1, -1, 2, 1, 1]))
        moving = line(theta, v)
        series = loss(moving, still(batch))
        assert overlap((loss.grad(theta, batch) @ v).data, coefficient(series, 1))
        hv = loss.hvp(theta, batch, v)
        assert overlap((hv @ v).data, 2 * coefficient(series, 2))
        assert overlap(hv.data, coefficient(loss.grad(moving, still(batch)), 1))


def test_a_linear_term_of_a_batch_adds_to_the_loss_and_its_gradient_and_nothing_to_the_hessian():
    a = exact.asarray
    theta, X, y, c = a([1, -2, 3, 2, -1, 1]), a([[1, 2, 0, 1, 1, 2], [0, 1, 1, 1, -1, 3]]), a([1, -1]), a(range(6))
    for loss, X_of in ((Quartic(EXACT_TABLE), X), (TwoLayers(EXACT_TABLE, 2, 1), X[:, :2])):
        bare, tilted = (X_of, y), (X_of, y, c)
        assert loss(theta, tilted) == loss(theta, bare) + c @ theta
        assert np.all(loss.grad(theta, tilted) == loss.grad(theta, bare) + c)
        assert np.all(loss.hvp(theta, tilted, c) == loss.hvp(theta, bare, c))


def test_two_layers_of_one_unit_are_the_square_of_a_product():
    x, y = exact.asarray([["1/3"]]), exact.asarray([2])
    for a, b in ((1, 1), (-2, 3), (5, "1/2")):
        theta = exact.asarray([a, b])
        assert TwoLayers(EXACT_TABLE, 1)(theta, (x, y)) == (theta[1] * theta[0] / 3 - 2) ** 2 / 2
        assert (
            TwoLayers(EXACT_TABLE, 1, 3)(theta, (x, y))
            == (theta[1] * theta[0] / 3 - 2) ** 2 / 2 + 3 * theta[1] ** 2 / 8
        )


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
