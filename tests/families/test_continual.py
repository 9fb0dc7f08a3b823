"""Fisher diagonals and the EWC penalty: rational for a Gaussian likelihood, against certified balls for a softmax."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jacrev, stage, vmap
from refgrad.autodiff import blocks
from refgrad.continual import empirical_fisher_diagonal, ewc_penalty, fisher_diagonal
from refgrad.contracts.continual import ewc, fisher
from refgrad.contracts.continual.problems import MODELS, classification
from refgrad.contracts.tools.losses import EXACT_TABLE
from refgrad.errors import InvalidInput, ShapeError
from refgrad.staging.staged import program_of

some = settings(max_examples=10, deadline=None, derandomize=True, database=None)
PAIRS = [(fisher_diagonal, fisher.fisher_diagonal), (empirical_fisher_diagonal, fisher.empirical_fisher_diagonal)]


def logits_of(inputs, table):
    return MODELS[inputs["model"]](table, inputs["classes"])


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


def network(theta, X):
    """Three outputs for each example, from containers of both; no function that rationals lack."""
    hidden = X["here"] @ theta["W"] + theta["b"]
    return (hidden * hidden) @ theta["V"] + X["there"][:, 0]


def containers(count, seed=0, classes=3):
    rng = np.random.default_rng(seed)
    integers = lambda *shape: exact.asarray(rng.integers(-3, 4, shape).astype(object))
    theta = {"W": integers(2, 4), "b": integers(4), "V": integers(4, classes)}
    return theta, {"here": integers(count, 2), "there": integers(count, 2, classes)}, integers(count, classes)


def by_definition(logits, theta, X, y=None):
    """Gaussian: the squares of the Jacobians, or of the gradients at the targets y, one example after the other."""
    count = X["here"].shape[0]
    total = dict.fromkeys(theta, 0)
    for n in range(count):
        x = {name: a[n : n + 1] for name, a in X.items()}
        f, jacobian = logits(theta, x)[0], jacrev(lambda t: logits(t, x)[0])(theta)
        for name, j in jacobian.items():
            score = j if y is None else rnp.tensordot(y[n] - f, j, 1)[None]
            total[name] = total[name] + rnp.sum(score * score, axis=0)
    return {name: t / count for name, t in total.items()}


@pytest.mark.proves("fisher-diagonal", "empirical-fisher-diagonal")
@pytest.mark.parametrize("count", [1, 2, 5, 6])
@pytest.mark.parametrize("classes", [1, 3])
@pytest.mark.parametrize("examples_in_a_block", [1, 2, 100])
def test_blocks_of_examples_of_any_size_equal_the_definition(count, classes, examples_in_a_block, monkeypatch):
    theta, X, y = containers(count, classes=classes)
    each = 64 * (2 * 4 + 4 + 4 * classes)
    for ours, target, rows in [(fisher_diagonal, None, classes), (empirical_fisher_diagonal, y, 1)]:
        monkeypatch.setattr(blocks, "BLOCK", examples_in_a_block * rows * each + 1)
        found = ours(network, theta, X, y, likelihood="gaussian")
        expected = by_definition(network, theta, X, target)
        assert list(found) == list(theta)
        assert all((found[name] == expected[name]).all() for name in theta)


@pytest.mark.parametrize("classes", [1, 2, 3, 5])
@pytest.mark.parametrize("likelihood", ["categorical", "gaussian"])
def test_a_program_in_which_sums_are_contracted_has_few_blocks_and_the_same_fisher(classes, likelihood, monkeypatch):
    theta, X, _ = containers(40, classes=classes)
    theta, X = ({name: a.astype(float) / 4 for name, a in tree.items()} for tree in (theta, X))
    f = lambda theta, X: fisher_diagonal(network, theta, X, likelihood=likelihood)
    expected, one_block = f(theta, X), program_of(f, (theta, X), {}, True, 1000)
    monkeypatch.setattr(blocks, "BLOCK", 8 * (2 * 4 + 4 + 4 * classes) * max(classes, classes * (classes - 1) // 2))
    assert len(program_of(f, (theta, X), {}, False, 10000).equations) > 30 * len(one_block.equations) / 2
    assert len(program_of(f, (theta, X), {}, True, 1000).equations) < 3 * len(one_block.equations)
    found = stage(f, reassociate=True)(theta, X)
    assert all(np.abs(found[k] - expected[k]).max() <= 2.0**-46 * expected[k].max() for k in theta)


@pytest.mark.parametrize("ours", [fisher_diagonal, empirical_fisher_diagonal])
def test_logits_are_computed_once_for_a_block_and_memory_is_bounded(ours, monkeypatch):
    rng = np.random.default_rng(0)
    theta = {"W": rng.normal(size=(20, 30)), "V": rng.normal(size=(30, 4))}
    X, y, calls = rng.normal(size=(500, 20)), rng.integers(0, 4, 500), []

    def logits(theta, X):
        calls.append(X)
        return np.tanh(X @ theta["W"]) @ theta["V"]

    found = ours(logits, theta, X, y)
    assert len(calls) <= 2
    monkeypatch.setattr(blocks, "BLOCK", 2**18)
    tracemalloc.start()
    in_blocks = ours(logits, theta, X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 5 * 2**18  # all Jacobians together are 44 times as large as a block, the gradients 11 times
    assert all(np.abs(in_blocks[k] - found[k]).max() <= 2.0**-44 * found[k].max() for k in theta)


def branching(theta, X):
    return X @ theta.reshape(2, 3) * (1 if X[0, 0] > 0 else -2)


def opaque(theta, X):
    return X @ theta.reshape(2, 3) * np.array([1.0, -2.0])[int(X[0, 0] <= 0)]


def assigning(theta, X):
    Z = X + 0
    Z[0] *= 1 if Z.tolist()[0][0] > 0 else -2
    return Z @ theta.reshape(2, 3)


@pytest.mark.parametrize("logits", [branching, opaque, assigning])
@pytest.mark.parametrize("ours", [fisher_diagonal, empirical_fisher_diagonal])
def test_logits_that_cannot_be_computed_for_many_examples_are_computed_one_by_one(logits, ours):
    rng = np.random.default_rng(3)
    X, theta, y = rng.normal(size=(7, 2)), rng.normal(size=6), rng.integers(0, 3, 7)
    batched = lambda theta, X: X @ theta.reshape(2, 3) * np.where(X[:, :1] > 0, 1.0, -2.0)
    found, expected = ours(logits, theta, X, y), ours(batched, theta, X, y)
    assert np.abs(found - expected).max() <= 2.0**-48 * expected.max()


def test_an_error_in_the_logits_is_the_error_that_is_raised():
    def logits(theta, X):
        raise KeyError("the user's own")

    with pytest.raises(KeyError, match="own") as raised:
        fisher_diagonal(logits, np.ones(2), np.ones((3, 1)))
    assert raised.value.__context__ is None


def test_each_example_stands_alone_whatever_the_logits_do_with_a_batch():
    rng = np.random.default_rng(1)
    X, theta = rng.normal(size=(6, 2)), rng.normal(size=6)
    normalised = lambda theta, X: (X - np.mean(X, axis=0)) @ theta.reshape(2, 3)
    assert (fisher_diagonal(normalised, theta, X) == 0).all()


@pytest.mark.parametrize("size", [1, 5, 10, 20, 40, 60])
def test_the_fisher_diagonals_of_a_model_that_fits_its_data_keep_their_digits(size):
    rng = np.random.default_rng(size)
    X = np.ones((2, 2), np.float32)
    theta = (rng.integers(-2, 3, 6) / 16 * size).astype(np.float32)
    theta[0] += size
    logits = lambda theta, X: X @ theta.reshape(2, 3)
    for method in (
        lambda theta, X: fisher_diagonal(logits, theta, X),
        lambda theta, X: empirical_fisher_diagonal(logits, theta, X, np.array([0, 0])),
    ):
        truth, attainable = exact.evaluate(method, theta, X), exact.attainable(method, (theta, X), "float32")
        for run in (method, stage(method), stage(method, reassociate=True)):
            assert exact.error(run(theta, X), truth) <= 5 * attainable


def test_labels_may_be_an_argument_of_a_program_and_are_checked_there():
    rng = np.random.default_rng(2)
    X, theta, y = rng.normal(size=(4, 2)), rng.normal(size=6), np.array([0, 2, 1, 1])
    method = lambda theta, X, y: empirical_fisher_diagonal(lambda t, X: X @ t.reshape(2, 3), theta, X, y)
    staged = stage(method, theta, X, y)
    other = np.array([1, 1, 0, 2])
    assert (staged(theta, X, other) == method(theta, X, other)).all()
    for wrong in (-1, 3):
        with pytest.raises(IndexError):
            staged(theta, X, np.array([0, wrong, 1, 1]))
        with pytest.raises(IndexError):
            vmap(method, (None, 0, 0))(theta, X[None], np.array([[0, wrong, 1, 1]]))


def test_float32_stays_float32():
    X, theta = np.ones((2, 2), np.float32), np.ones(4, np.float32)
    logits = lambda theta, X: X @ theta.reshape(2, 2)
    assert fisher_diagonal(logits, theta, X).dtype == np.float32
    assert empirical_fisher_diagonal(logits, theta, X, np.array([0, 1])).dtype == np.float32
    targets = np.ones((2, 2))
    assert empirical_fisher_diagonal(logits, theta, X, targets, likelihood="gaussian").dtype == np.float32
    inside = lambda theta, X: logits(theta[0], X)
    assert fisher_diagonal(inside, [theta], X)[0].dtype == np.float32


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
    with pytest.raises(ShapeError, match="at least one parameter"):
        fisher_diagonal(logits, {}, X)
    with pytest.raises(ShapeError, match="at least one example"):
        fisher_diagonal(logits, theta, (X, np.ones((3, 1))))
    with pytest.raises(InvalidInput, match=r"labels from 0 to 1, got -1 for example 1"):
        empirical_fisher_diagonal(logits, theta, X, [0, -1])
    with pytest.raises(ShapeError, match="got a list"):
        fisher_diagonal(logits, theta, [[1.0]])
    assert ewc_penalty(np.ones(2, "f4"), np.zeros(2, "f4"), np.ones(2, "f4"), np.float64(2.0)).dtype == np.float32
    with pytest.raises(ShapeError, match="empty"):
        ewc_penalty({}, {}, {}, 1.0)
    with pytest.raises(InvalidInput, match="likelihood"):
        fisher_diagonal(logits, theta, X, likelihood="poisson")
