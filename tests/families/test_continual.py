"""Fisher diagonals and the EWC penalty: rational for a Gaussian likelihood, against certified balls for a softmax."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp
from refgrad.continual import empirical_fisher_diagonal, ewc_penalty, fisher_diagonal
from refgrad.contracts.continual import ewc, fisher
from refgrad.contracts.continual.logits import LinearLogits, SquaredUnitLogits
from refgrad.contracts.continual.problems import classification
from refgrad.contracts.tools.losses import EXACT_TABLE
from refgrad.errors import InvalidInput, ShapeError

some = settings(max_examples=10, deadline=None, derandomize=True, database=None)
PAIRS = [(fisher_diagonal, fisher.fisher_diagonal), (empirical_fisher_diagonal, fisher.empirical_fisher_diagonal)]


def logits_of(inputs, table):
    d, C = len(inputs["X"][0]), inputs["classes"]
    family = LinearLogits if len(inputs["theta"]) == d * C else SquaredUnitLogits
    return family(table, C)


@pytest.mark.proves("fisher-diagonal", "empirical-fisher-diagonal")
@pytest.mark.parametrize(("ours", "truth"), PAIRS, ids=["true", "empirical"])
@some
@given(inputs=classification("crisp"))
def test_softmax_fisher_diagonals_lie_within_certified_enclosures(ours, truth, inputs):
    y = np.array(inputs["y"])
    args = np.array(inputs["theta"]), np.array(inputs["X"])
    found = ours(logits_of(inputs, np), *args, y)
    enclosure = exact.evaluate(lambda theta, X: truth(logits_of(inputs, EXACT_TABLE), theta, X, y).value, *args)
    in_balls = exact.evaluate(lambda theta, X: ours(logits_of(inputs, rnp), theta, X, y), *args)
    for i, (low, high) in enumerate(zip(enclosure.low, enclosure.high, strict=True)):
        # the same code on balls overlaps the quantity, and both are known to 73 bits
        assert in_balls.low[i] <= high
        assert low <= in_balls.high[i]
        assert abs(found[i] - float(low)) <= 2.0**-44 * float(max(map(abs, enclosure.high)))


@pytest.mark.proves("fisher-diagonal")
def test_the_gaussian_fisher_is_rational_and_equals_its_quantity():
    rng = np.random.default_rng(0)
    X = exact.asarray(rng.integers(-3, 4, (5, 3)).astype(object))
    theta, y = exact.asarray([1, 2, 3]), exact.asarray([[1], [0], [2], [-1], [3]])
    linear = lambda theta, X: rnp.reshape(X @ theta, (-1, 1))
    found = fisher_diagonal(linear, theta, X, likelihood="gaussian")
    assert (found == fisher.gaussian_fisher_diagonal(X, 1).value).all()
    residual = y[:, 0] - X @ theta
    expected = (residual * residual) @ (X * X) / 5
    assert (empirical_fisher_diagonal(linear, theta, X, y, likelihood="gaussian") == expected).all()


def test_the_true_fisher_ignores_labels_and_the_empirical_one_does_not():
    rng = np.random.default_rng(1)
    X, theta, y = rng.normal(size=(6, 2)), rng.normal(size=6), np.array([0, 1, 2, 0, 1, 2])
    logits = lambda theta, X: X @ theta.reshape(2, 3)
    assert (fisher_diagonal(logits, theta, X, y) == fisher_diagonal(logits, theta, X, y[::-1])).all()
    assert not np.allclose(
        empirical_fisher_diagonal(logits, theta, X, y), empirical_fisher_diagonal(logits, theta, X, y[::-1])
    )


def test_doubling_the_data_leaves_a_mean_alone():
    rng = np.random.default_rng(1)
    X, theta = rng.normal(size=(3, 2)), rng.normal(size=6)
    logits = lambda theta, X: X @ theta.reshape(2, 3)
    once, twice = (fisher_diagonal(logits, theta, Z) for Z in (X, np.concatenate([X, X])))
    assert np.abs(once - twice).max() <= 4 * 2.0**-52 * once.max()


def test_float32_stays_float32():
    X, theta = np.ones((2, 2), np.float32), np.ones(4, np.float32)
    logits = lambda theta, X: X @ theta.reshape(2, 2)
    assert fisher_diagonal(logits, theta, X).dtype == np.float32
    assert empirical_fisher_diagonal(logits, theta, X, np.array([0, 1])).dtype == np.float32


@pytest.mark.proves("ewc-penalty")
def test_the_penalty_its_gradient_and_its_hessian_are_the_quantities():
    theta, star = exact.asarray([1, -2, "1/3"]), exact.asarray([0, 1, 1])
    weights, lam, v = exact.asarray([3, "1/2", 6]), exact.asarray("5/7"), exact.asarray([1, 2, 3])
    assert ewc_penalty(theta, star, weights, lam) == ewc.ewc_penalty(theta, star, weights, lam).value
    f = lambda t: ewc_penalty(t, star, weights, lam)
    assert (grad(f)(theta) == ewc.ewc_gradient(theta, star, weights, lam).value).all()
    assert (hvp(f, theta, v) == lam * weights * v).all()
    assert ewc_penalty(star, star, weights, lam) == 0


def test_the_penalty_takes_containers():
    one, two = {"a": np.ones(2), "b": np.zeros((1, 1))}, {"a": np.zeros(2), "b": np.ones((1, 1))}
    assert ewc_penalty(one, two, one, 4.0) == 4.0
    with pytest.raises(ShapeError, match="alike"):
        ewc_penalty(np.ones(2), np.ones(3), np.ones(2), 1.0)


def test_bad_inputs_are_named():
    logits = lambda theta, X: X @ theta.reshape(1, 2)
    X, theta = np.ones((2, 1)), np.zeros(2)
    with pytest.raises(ShapeError, match="at least one example"):
        fisher_diagonal(logits, theta, np.ones((0, 1)))
    with pytest.raises(ShapeError, match=r"\(N, C\)"):
        fisher_diagonal(lambda theta, X: rnp.sum(X @ theta.reshape(1, 2)), theta, X)
    with pytest.raises(ShapeError, match="one label"):
        empirical_fisher_diagonal(logits, theta, X, np.array([0]))
    with pytest.raises(InvalidInput, match="labels from 0 to 1, got 2"):
        empirical_fisher_diagonal(logits, theta, X, np.array([0, 2]))
    with pytest.raises(InvalidInput, match="integer dtype"):
        empirical_fisher_diagonal(logits, theta, X, np.array([0.7, 1.2]))
    with pytest.raises(ShapeError, match=r"theta of shape \(p,\)"):
        fisher_diagonal(logits, theta.reshape(1, 2), X)
    with pytest.raises(ShapeError, match=r"targets of shape \(N, 2\)"):
        empirical_fisher_diagonal(logits, theta, X, np.ones((2, 1)), likelihood="gaussian")
    with pytest.raises(ShapeError, match="one label"):
        empirical_fisher_diagonal(logits, theta, X, np.ones(2), likelihood="gaussian")
    with pytest.raises(ShapeError, match="got a list"):
        fisher_diagonal(logits, theta, [[1.0]])
    assert ewc_penalty(np.ones(2, "f4"), np.zeros(2, "f4"), np.ones(2, "f4"), np.float64(2.0)).dtype == np.float32
    with pytest.raises(ShapeError, match="empty"):
        ewc_penalty({}, {}, {}, 1.0)
    with pytest.raises(InvalidInput, match="likelihood"):
        fisher_diagonal(logits, theta, X, likelihood="poisson")
