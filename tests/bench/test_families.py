"""What one algorithm of each family costs on floats, and on rationals; and beside what one would write by hand."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, summarise, table
from bench.networks import deep_square_loss, meta_gradient, proved, regression, tasks_of

import refgrad.numpy as rnp
from refgrad import exact, stage
from refgrad.continual import fisher_diagonal
from refgrad.contracts.implicit.bilevel import probe
from refgrad.contracts.tools.losses import Quartic
from refgrad.implicit import hypergradient
from refgrad.meta import fomaml_gradient, maml_gradient
from refgrad.multitask import min_norm

pytestmark = pytest.mark.bench


def test_one_algorithm_of_each_family_on_floats_and_on_rationals():
    problem, w, phi = probe()
    rng = np.random.default_rng(0)
    X, y = rng.integers(-2, 3, (4, 6)).astype(float), rng.integers(-2, 3, 4).astype(float)
    theta = rng.integers(-1, 2, 6).astype(float)
    J = rng.integers(-3, 4, (6, 8)).astype(float)

    logits = lambda theta, X: X @ theta.reshape(6, 3)
    loss, tasks = Quartic(rnp), [((X, y), (X[::-1], y))]
    exact_tasks = [tuple((exact.asarray(a), exact.asarray(b)) for a, b in task) for task in tasks]
    exact_theta, exact_lr, exact_J = exact.asarray(theta), exact.asarray("1/64"), exact.asarray(J)
    times = microseconds(
        {
            "hypergradient, 3 x 3, rational, dense": lambda: hypergradient(problem.inner, problem.outer, w, phi),
            "MAML, quartic, 6 parameters, 3 steps, float": lambda: maml_gradient(loss, theta, tasks, 1 / 64, 3),
            "the same, rational": lambda: maml_gradient(loss, exact_theta, exact_tasks, exact_lr, 3),
            "min-norm, 6 tasks x 8, float": lambda: min_norm(J),
            "the same problem, rational": lambda: min_norm(exact_J),
            "true Fisher, 4 examples, 18 parameters": lambda: fisher_diagonal(logits, np.ones(18), X),
        },
        rounds=5,
        inner=3,
    )
    against = {
        "the same, rational": "MAML, quartic, 6 parameters, 3 steps, float",
        "the same problem, rational": "min-norm, 6 tasks x 8, float",
    }
    table("families", times, against)


def test_the_meta_gradient_of_twenty_five_tasks():
    few = regression(np.random.default_rng(1), (1, 3, 2, 1), 2, 2)
    by_engine = lambda p, s, q: maml_gradient(deep_square_loss, p, tasks_of(s, q), exact.asarray("1/64"), 2)
    assert proved(lambda p, s, q: meta_gradient(p, s, q, exact.asarray("1/64"), 2), by_engine, *few)
    p, support, query = regression(np.random.default_rng(0), (1, 40, 40, 1), 25, 10, np.float32)
    tasks = tasks_of(support, query)
    runs = {"NumPy by hand": lambda: meta_gradient(p, support, query, 0.01, 5)}
    for name, method in (("MAML", maml_gradient), ("FOMAML", fomaml_gradient)):
        f = lambda p, tasks, method=method: method(deep_square_loss, p, tasks, 0.01, 5)
        staged = stage(f, p, tasks)
        runs[f"{name}, eager"] = lambda f=f: f(p, tasks)
        runs[f"{name}, staged"] = lambda staged=staged: staged(p, tasks)
    times = microseconds(runs, rounds=20, inner=2)
    table(
        "meta-gradients, 25 tasks, 5 steps, MLP 1-40-40-1, float32",
        times,
        dict.fromkeys(list(runs)[1:], "NumPy by hand"),
    )
    for name, wanted in (("MAML, eager", "<= 3"), ("MAML, staged", "<= 1.5")):
        summarise(f"25 tasks, {name}", times[name] / times["NumPy by hand"], "x NumPy by hand", wanted)


def test_the_hypergradient_of_a_logistic_regression():
    from scipy.linalg import cho_factor, cho_solve

    rng = np.random.default_rng(0)
    n, d, groups = 2000, 500, 10
    width = np.linspace(2, 0.1, d)
    X, Z = rng.normal(size=(n, d)) * width, rng.normal(size=(n, d)) * width
    truth = rng.normal(size=d) / d**0.5
    y, z = (np.where(rng.random(n) < 1 / (1 + np.exp(-A @ truth)), 1.0, -1.0) for A in (X, Z))
    phi, group = np.linspace(-4.0, -1.0, groups), np.repeat(np.arange(groups), d // groups)
    inner = lambda w, phi: rnp.mean(rnp.logaddexp(0, -y * (X @ w))) + np.sum(np.exp(phi)[group] * w * w) / 2
    outer = lambda w, phi: rnp.mean(rnp.logaddexp(0, -z * (Z @ w)))

    def hessian_by_hand(w):
        p = 1 / (1 + np.exp(-y * (X @ w)))
        H = (X.T * (p * (1 - p) / n)) @ X
        H[np.diag_indices(d)] += np.exp(phi)[group]
        return H, p

    def by_hand(w):
        H, _ = hessian_by_hand(w)
        g = Z.T @ (-z / (1 + np.exp(z * (Z @ w)))) / n
        u = cho_solve(cho_factor(H), g)
        return -np.add.reduceat(np.exp(phi)[group] * w * u, np.arange(0, d, d // groups))

    w = np.zeros(d)
    for _ in range(12):
        H, p = hessian_by_hand(w)
        w = w - np.linalg.solve(H, X.T @ (-y * (1 - p)) / n + np.exp(phi)[group] * w)
    found = hypergradient(inner, outer, w, phi)
    assert np.abs(found.value - by_hand(w)).max() <= 1e-12 * np.abs(by_hand(w)).max()
    runs = {"NumPy and SciPy by hand": lambda: by_hand(w), "hypergradient": lambda: hypergradient(inner, outer, w, phi)}
    times = microseconds(runs, rounds=8, inner=1)
    table("hypergradient, logistic regression 2000 x 500", times, {"hypergradient": "NumPy and SciPy by hand"})
    ratio = times["hypergradient"] / times["NumPy and SciPy by hand"]
    summarise("hypergradient, 2000 x 500", ratio, "x by hand", "<= 2")


@pytest.mark.parametrize(("K", "n"), [(10, 40), (10, 1000), (1000, 4000)])
def test_the_min_norm_point_beside_non_negative_least_squares(K, n):
    from scipy.optimize import nnls

    J = np.random.default_rng(0).normal(size=(K, n))

    def by_hand():
        rows = J / np.abs(J).max()
        R = np.linalg.qr(rows.T, mode="r")
        x, _ = nnls(np.vstack([R, np.ones(K)]), np.append(np.zeros(len(R)), 1.0))
        return x / x.sum()

    assert np.abs(min_norm(J).weights - by_hand()).max() <= 1e-12
    rounds, inner = (40, 25) if K < 100 else (1, 1)
    times = microseconds({"NNLS after QR": by_hand, "min_norm": lambda: min_norm(J)}, rounds, inner)
    table(f"min-norm, {K} gradients of {n} parameters", times, {"min_norm": "NNLS after QR"})
    summarise(f"min-norm, {K} x {n}", times["min_norm"] / times["NNLS after QR"], "x NNLS after QR", "<= 1.5")
