"""What recording and compiling take, and that it grows no faster than the length of the program."""

from __future__ import annotations

import time

import numpy as np
import pytest
from bench.measure import microseconds, summarise, table

from refgrad import grad, stage, tree, vmap
from refgrad.meta import maml_gradient

pytestmark = pytest.mark.bench

SIZES = ((1, 40), (40, 40), (40, 1))


def loss(p, batch):
    x, y = batch
    for i, (W, b) in enumerate(p):
        x = x @ W + b if i + 1 == len(p) else np.tanh(x @ W + b)
    return np.mean((x - y) ** 2)


def network(rng):
    return [(rng.normal(size=s).astype("f4") / np.float32(s[0] ** 0.5), np.zeros(s[1], "f4")) for s in SIZES]


def batch(rng, *shape):
    return tuple(rng.uniform(-1, 1, size=(*shape, 10, 1)).astype("f4") for _ in range(2))


def seconds(f):
    start = time.process_time()
    f()
    return time.process_time() - start


def test_a_meta_gradient_of_25_tasks_batched():
    rng = np.random.default_rng(0)
    p, data = network(rng), (batch(rng, 25), batch(rng, 25))

    def of_task(p, support, query):
        for _ in range(5):
            p = tree.map(lambda a, g: a - 0.01 * g, p, grad(loss)(p, support))
        return loss(p, query)

    gradient = grad(lambda p, *data: np.mean(vmap(of_task, in_axes=(None, 0, 0))(p, *data)))
    compiling = seconds(lambda: stage(gradient, p, *data))
    staged = stage(gradient, p, *data)
    runs = {"eager": lambda: gradient(p, *data), "staged": lambda: staged(p, *data)}
    times = microseconds(runs, rounds=8, inner=2)
    table("MAML, 25 tasks, 5 steps, 1-40-40-1, float32, grad of vmap", times, {"staged": "eager"})
    summarise("MAML of 25 tasks batched, compiling", compiling, "s", "<= 1")
    summarise("MAML of 25 tasks batched, staged", times["staged"] / times["eager"], "x eager", "<= 1")


@pytest.mark.parametrize("reassociate", [False, True])
def test_compiling_is_linear_in_the_length(reassociate):
    rng = np.random.default_rng(0)
    p = network(rng)
    taken = {}
    for count in (4, 48):
        tasks = [(batch(rng), batch(rng)) for _ in range(count)]
        f = lambda p, tasks: maml_gradient(loss, p, tasks, 0.01, 1)
        taken[count] = min(
            seconds(lambda f=f, tasks=tasks: stage(f, p, tasks, reassociate=reassociate)) for _ in range(3)
        )
    print(f"\nan operation, reassociate={reassociate}: {taken[48] / 48 / 189 * 1e6:.0f} us")
    summarise("compiling 12 times the tasks", taken[48] / taken[4], "x", "<= 15")
