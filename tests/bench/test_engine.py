"""What the engine costs, as ratios against NumPy written by hand, measured in one run.

Run by ``nox -s bench``. Nothing here passes or fails by a time: the tables are printed, to be read.
"""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from refgrad import exact, grad, hvp, per_example_grad
from refgrad.continual import fisher_diagonal
from refgrad.implicit import hypergradient
from refgrad.meta import maml_gradient
from refgrad.multitask import min_norm
from refgrad.oracles.implicit.bilevel import probe
from refgrad.oracles.losses import Quartic

pytestmark = pytest.mark.bench


def microseconds(functions, rounds=40, inner=25):
    """The best time of each function, measured in turns so that a busy machine disturbs all of them alike."""
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, f in functions.items():
            start = time.perf_counter()
            for _ in range(inner):
                f()
            best[name] = min(best[name], (time.perf_counter() - start) / inner * 1e6)
    return best


def table(title, times, against):
    print(f"\n{title}")
    for name, value in times.items():
        base = times[against[name]] if name in against else None
        print(f"  {name:<44}{value:>10.1f} us" + (f"{value / base:>8.2f} x {against[name]}" if base else ""))


def test_eager_gradient_and_hvp_of_a_small_network():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(4, 8)), rng.normal(size=(4, 1))
    p = (rng.normal(size=(8, 16)), rng.normal(size=16), rng.normal(size=(16, 1)), np.zeros(1))
    v = tuple(rng.normal(size=a.shape) for a in p)

    def loss(p):
        W, b, V, c = p
        residual = np.tanh(X @ W + b) @ V + c - y
        return np.mean(residual * residual)

    def gradient_by_hand(p):
        W, b, V, c = p
        h = np.tanh(X @ W + b)
        r = (h @ V + c - y) * (2 / 4)
        d = (r @ V.T) * (1 - h * h)
        return X.T @ d, d.sum(0), h.T @ r, r.sum(0)

    def hvp_by_hand(p, v):
        (W, b, V, c), (dW, db, dV, dc) = p, v
        h = np.tanh(X @ W + b)
        s = 1 - h * h
        dh = s * (X @ dW + db)
        r = (h @ V + c - y) * (2 / 4)
        dr = (dh @ V + h @ dV + dc) * (2 / 4)
        back = r @ V.T
        dd = (dr @ V.T + r @ dV.T) * s - back * 2 * h * dh
        return X.T @ dd, dd.sum(0), dh.T @ r + h.T @ dr, dr.sum(0)

    gradient = grad(loss)
    for ours, theirs in zip(gradient(p) + hvp(loss, p, v), gradient_by_hand(p) + hvp_by_hand(p, v), strict=True):
        assert np.abs(ours - theirs).max() <= 1e-13 * (1 + np.abs(theirs).max())
    times = microseconds(
        {
            "loss, NumPy": lambda: loss(p),
            "gradient, NumPy by hand": lambda: gradient_by_hand(p),
            "gradient, refgrad eager": lambda: gradient(p),
            "HVP, NumPy by hand": lambda: hvp_by_hand(p, v),
            "HVP, refgrad eager": lambda: hvp(loss, p, v),
        }
    )
    against = {
        "gradient, refgrad eager": "gradient, NumPy by hand",
        "HVP, refgrad eager": "HVP, NumPy by hand",
    }
    table("MLP 8-16-1, tanh, batch 4, float64", times, against)


def test_gradients_of_examples_at_once_and_in_a_loop():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(256, 8)), rng.normal(size=(256, 1))
    p = (rng.normal(size=(8, 16)), rng.normal(size=16), rng.normal(size=(16, 1)), np.zeros(1))

    def loss(p, x, y):
        W, b, V, c = p
        residual = np.tanh(x @ W + b) @ V + c - y
        return np.mean(residual * residual)

    one = grad(loss)
    times = microseconds(
        {
            "per_example_grad": lambda: per_example_grad(loss)(p, X, y),
            "loop over grad": lambda: [one(p, a, b) for a, b in zip(X, y, strict=True)],
        },
        rounds=8,
        inner=8,  # more than one or two: after the loop the first calls find nothing in the caches
    )
    table("MLP 8-16-1, 256 examples, float64", times, {"loop over grad": "per_example_grad"})


def test_one_algorithm_of_each_family_on_floats_and_on_rationals():
    problem, w, phi = probe()
    rng = np.random.default_rng(0)
    X, y = rng.integers(-2, 3, (4, 6)).astype(float), rng.integers(-2, 3, 4).astype(float)
    theta = rng.integers(-1, 2, 6).astype(float)
    J = rng.integers(-3, 4, (6, 8)).astype(float)
    import refgrad.numpy as rnp

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


def test_a_chain_of_a_hundred_thousand_operations():
    def f(x):
        for _ in range(100_000):
            x = x * 1.0
        return x

    start = time.perf_counter()
    f(np.float64(2.0))
    plain = time.perf_counter() - start
    start = time.perf_counter()
    grad(f)(2.0)
    print(f"\nchain of 100000 products: NumPy {plain:.3f} s, gradient {time.perf_counter() - start:.3f} s")


def test_what_importing_costs():
    def once(statement):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", statement], check=True)
        return time.perf_counter() - start

    best = {
        s: min(once(s) for _ in range(7)) for s in ("import numpy", "import refgrad", "import refgrad; refgrad.grad")
    }
    print("\nimport, seconds beyond import numpy")
    for statement, seconds in best.items():
        print(f"  {statement:<30}{seconds:>8.3f}{seconds - best['import numpy']:>+9.3f}")
