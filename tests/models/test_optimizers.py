"""Optimisers as functions: their recursions in rationals, and derivatives through their steps."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad import exact, grad
from refgrad.errors import InvalidInput
from refgrad.models import SGD, Adam
from refgrad.tree import map

R = exact.asarray
START = {"W": R([[1, -2]]), "b": R(["1/3"])}
SLOPE = {"W": R([[2, "1/2"]]), "b": R([-1])}
"""The gradient of a loss that is linear but for the quadratic term below."""


def descend(optimizer, steps, start=START):
    params, state = start, optimizer.init(start)
    for _ in range(steps):
        gradient = map(lambda p, s: p / 2 + s, params, SLOPE)
        params, state = optimizer.step(params, gradient, state)
    return params


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_descent_on_a_quadratic_is_a_power(steps):
    found = descend(SGD(R("1/4")), steps)
    for name, leaf in START.items():
        end = -2 * SLOPE[name]
        assert (found[name] == end + R("7/8") ** steps * (leaf - end)).all()


@pytest.mark.parametrize("nesterov", [False, True])
@pytest.mark.parametrize("decay", [0, "1/8"])
def test_momentum_is_a_sum_of_all_gradients(nesterov, decay):
    mu, lr, wd = R("1/2"), R("1/4"), R(decay)
    optimizer = SGD(lr, momentum=mu, nesterov=nesterov, weight_decay=wd if decay else 0)
    params, gradients = START, []
    for k in range(4):
        gradients.append(map(lambda p, s: p / 2 + s + wd * p, params, SLOPE))
        v = map(lambda *all: sum(mu ** (k - i) * g for i, g in enumerate(all)), *gradients)
        v = map(lambda g, v: g + mu * v, gradients[-1], v) if nesterov else v
        params = map(lambda p, v: p - lr * v, params, v)
    found = descend(optimizer, 4)
    assert all((found[name] == params[name]).all() for name in START)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_end_of_descent_has_a_derivative_by_the_step_and_by_the_momentum(steps):
    end = lambda lr: descend(SGD(lr), steps)["b"][0]
    p, s = START["b"][0], SLOPE["b"][0]
    # (p + 2 s) (1 - lr / 2)^T - 2 s
    assert grad(end)(R("1/4")) == -(p + 2 * s) * steps * R("7/8") ** (steps - 1) / 2
    moving = lambda mu: descend(SGD(R("1/4"), momentum=mu), 2)["b"][0]
    assert grad(moving)(R("1/2")) == -R("1/4") * (p / 2 + s)  # of the second step alone


def test_adam_is_the_running_means_of_gradients_and_squares():
    rng = np.random.default_rng(0)
    gradients = rng.normal(size=(5, 3)) * [1e-3, 1, 1e3]
    theta = expected = np.zeros(3)
    optimizer = Adam(0.1)
    state = optimizer.init(theta)
    for k, g in enumerate(gradients):
        theta, state = optimizer.step(theta, g, state)
        weights = lambda b: (1 - b) * b ** np.arange(k, -1, -1)
        m, v = weights(0.9) @ gradients[: k + 1], weights(0.999) @ gradients[: k + 1] ** 2
        size = np.sqrt(v / (1 - 0.999 ** (k + 1)))
        step = 0.1 * m / (1 - 0.9 ** (k + 1)) / (size + 1e-8)
        expected = expected - step
    assert np.allclose(theta, expected, rtol=1e-13)
    assert state.steps == 5


def test_adam_has_a_derivative_where_nothing_has_moved():
    optimizer = Adam(0.5, epsilon=0.25)
    after = lambda g: optimizer.step(np.zeros(2), g, optimizer.init(np.zeros(2)))[0]
    slopes = grad(lambda g: np.sum(after(g) * np.array([1.0, 2.0])))(np.array([0.0, 3.0]))
    # -lr g / (|g| + epsilon), of derivative -lr epsilon / (|g| + epsilon)^2
    assert slopes[0] == -0.5 / 0.25
    assert slopes[1] == pytest.approx(2 * -0.5 * 0.25 / 3.25**2)
    assert after(np.zeros(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("optimizer", [SGD(0.1), SGD(0.1, momentum=0.9, nesterov=True), Adam(0.1, weight_decay=0.01)])
def test_float32_stays_float32_and_a_step_can_be_taken_again(optimizer):
    params = {"W": np.ones((2, 3), np.float32), "b": np.zeros(3, np.float32)}
    gradient = map(lambda p: p + 1, params)
    state = optimizer.init(params)
    first, after = optimizer.step(params, gradient, state)
    again, _ = optimizer.step(params, gradient, state)
    second, _ = optimizer.step(first, gradient, after)
    assert all(leaf.dtype == np.float32 for leaf in (*first.values(), *second.values()))
    assert all((first[name] == again[name]).all() for name in params)


@pytest.mark.parametrize(
    "make",
    [lambda: SGD(-0.1), lambda: SGD(float("nan")), lambda: Adam(0.1, b1=-1), lambda: SGD(0.1, weight_decay=-1.0)],
)
def test_settings_that_are_negative_are_told(make):
    with pytest.raises(InvalidInput, match="of at least 0, got"):
        make()


def test_nesterov_needs_a_momentum():
    with pytest.raises(InvalidInput, match="nesterov needs a momentum"):
        SGD(0.1, nesterov=True)
