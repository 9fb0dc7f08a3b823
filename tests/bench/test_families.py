"""What one algorithm of each family costs on floats, and on rationals."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, table

import refgrad.numpy as rnp
from refgrad import exact
from refgrad.continual import fisher_diagonal
from refgrad.contracts.implicit.bilevel import probe
from refgrad.contracts.tools.losses import Quartic
from refgrad.implicit import hypergradient
from refgrad.meta import maml_gradient
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
