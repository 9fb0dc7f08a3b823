"""Families with exponentials: the engine's hypergradients in balls enclose the closed forms, to at least 73 bits."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from helpers.hypergradients import Draw, has, hypergradients, same, sized

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp
from refgrad.contracts.implicit import LogisticIntercept, Manufactured, PoissonIntercept, QuadraticMap
from refgrad.contracts.tools import EXACT_TABLE, checked_solve
from refgrad.implicit import custom_root

a, balls = exact.asarray, exact.balls
pytestmark = pytest.mark.proves("hypergradient")


@pytest.fixture(autouse=True)
def bits():
    with exact.precision(200):
        yield


def sigmoid(x):
    return 1 / (1 + rnp.exp(-x))


@pytest.mark.parametrize(("counts", "phi"), [((3, 5, 2, 7), [2, 1]), ((1, 9, 4, 4), ["1/3", "7/2"])])
def test_the_intercept_of_logistic_regression_by_weights_of_classes(counts, phi):
    truth = LogisticIntercept(EXACT_TABLE, *counts).total_derivative(a(phi))
    assert truth.dtype == "rational"
    assert has(LogisticIntercept(rnp, *map(balls, counts)), balls(phi), truth)


def test_the_intercept_of_three_and_five_examples():
    assert has(LogisticIntercept(rnp, *map(balls, (3, 5, 2, 7))), balls([2, 1]), a(["16/11", "-32/11"]))


@pytest.mark.proves("custom-root")
@pytest.mark.parametrize("power", [1, 2, 3, 5])
@pytest.mark.parametrize(("rate", "count", "phi"), [(4, 2, 3), ("1/3", 5, "-1/2")])
def test_the_intercept_of_poisson_regression_and_its_second_derivative(power, rate, count, phi):
    truth = PoissonIntercept(EXACT_TABLE, a(rate), a(count), power)
    problem, at = PoissonIntercept(rnp, balls(rate), balls(count), power), balls([phi])
    assert has(problem, at, truth.total_derivative(a([phi])))
    root = custom_root(lambda w, p: grad(problem.inner)(w, p), problem.solution)
    assert same(hessian(lambda p: problem.outer(root(p), p))(at), truth.second_derivative(a([phi])))


def test_the_second_derivative_with_a_count_of_two_is_an_eighth():
    problem = PoissonIntercept(rnp, balls(4), balls(2), 2)
    assert has(problem, balls([3]), a(["5/8"]))
    root = custom_root(lambda w, p: grad(problem.inner)(w, p), problem.solution)
    assert same(hessian(lambda p: problem.outer(root(p), p))(balls([3])), a([["1/8"]]))


@sized
def test_auxiliary_losses_through_a_softplus(n, m):
    # inner = l_0 + log(1 + e^s), s = phi . l: H = A_0 + s' sum phi_k A_k + s'' q q^T, B_k = s' grad l_k + s'' l_k q
    draw = Draw(n + 10 * m, balls)
    A0, A, b, w, t = draw.definite(n), rnp.stack([draw.definite(n) for _ in range(m)]), draw(m, n), draw(n), draw(n)
    phi = abs(draw(m)) / 64  # so that a softplus is no straight line yet
    losses = lambda w: A @ w @ w / 2 - b @ w
    slopes, l = A @ w - b, losses(w)
    first = sigmoid(phi @ l)
    second = first * (1 - first)
    q = phi @ slopes
    b0 = A0 @ w + first * q  # of l_0 = 1/2 w^T A_0 w - b_0^T w: w is stationary
    inner = lambda w, p: w @ (A0 @ w) / 2 - b0 @ w + rnp.log(1 + rnp.exp(p @ losses(w)))
    outer = lambda w, p: (w - t) @ (w - t) / 2
    H = A0 + first * rnp.sum(phi[:, None, None] * A, 0) + second * q[:, None] * q
    B = (first * slopes + second * l[:, None] * q).T
    u = checked_solve(H, w - t)
    problem = SimpleNamespace(inner=inner, outer=outer)
    assert has(problem, phi, -(B.T @ u), w)
    assert not has(problem, phi, -first * (slopes @ u), w)  # the softplus as if it were linear


@pytest.mark.parametrize("n", [1, 2, 4])
def test_logistic_regression_by_logarithms_of_its_penalties(n):
    draw = Draw(n, balls)
    X, w, theta, t = draw(n + 2, n), draw(n) / 2, draw(n), draw(n)
    p, lam = sigmoid(X @ w), rnp.exp(theta)
    b = X.T @ p + lam * w  # the examples' labels and a tilt: w is stationary
    inner = lambda w, q: rnp.sum(rnp.log(1 + rnp.exp(X @ w))) - b @ w + rnp.exp(q) @ (w * w) / 2
    outer = lambda w, q: (w - t) @ (w - t) / 2
    u = checked_solve(X.T @ ((p * (1 - p))[:, None] * X) + draw.eye(n) * lam, w - t)
    for found in hypergradients(inner, outer, w, theta):
        assert same(found, -lam * w * u)
        assert not same(found, -w * u)  # by the penalty, not its logarithm


class Network:
    """The sum of squares of a network of two layers, with derivatives by the engine: the truth knows none of them."""

    def __init__(self, inputs, hidden):
        self.shape = (hidden, inputs)

    def __call__(self, w, batch):
        hidden, inputs = self.shape
        U, v = w[: hidden * inputs].reshape(hidden, inputs), w[hidden * inputs :]
        r = rnp.tanh(batch[0] @ U.T) @ v - batch[1]
        return r @ r / 2

    def grad(self, w, batch):
        return grad(self)(w, batch)

    def hvp(self, w, batch, v):
        return hvp(lambda x: self(x, batch), w, v)


@pytest.mark.parametrize(("inputs", "hidden", "m"), [(1, 1, 1), (2, 2, 3), (1, 3, 2)])
def test_manufactured_solutions_of_a_network(inputs, hidden, m):
    n, draw = hidden * (inputs + 1), Draw(inputs + 10 * m, balls)
    psi = QuadraticMap(draw(n) / 4, draw(n, m) / 4, draw(n, m, m) / 4)
    batch = draw(4, inputs), draw(4)
    problem = Manufactured(Network(inputs, hidden), batch, psi, balls("1/2"), **draw.outer(n, m))
    assert has(problem, draw(m) / 2, definite=False)
