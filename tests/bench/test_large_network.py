"""What the engine adds to products of large matrices, in time and in memory."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, peak, summarise, table
from bench.networks import (
    agree,
    classifier,
    cross_entropy,
    cross_entropy_gradient,
    proved,
    rounding_of_the_gradient,
)

from refgrad import checkpoint, grad, stage

pytestmark = pytest.mark.bench


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gradient_of_a_large_network(dtype):
    assert proved(cross_entropy_gradient, grad(cross_entropy), *classifier(np.random.default_rng(1), (5, 4, 3), 2))
    p, X, Y = classifier(np.random.default_rng(0), (784, 256, 10), 128, dtype)
    truth, bounds = cross_entropy_gradient(p, X, Y), rounding_of_the_gradient(p, X, Y)
    gradients = {"refgrad, eager": grad(cross_entropy)}
    gradients["refgrad, staged"] = stage(grad(cross_entropy), p, X, Y)
    for name, gradient in gradients.items():
        assert agree(gradient(p, X, Y), truth, bounds), name
    runs = {"NumPy by hand": lambda: cross_entropy_gradient(p, X, Y)}
    runs |= {name: lambda gradient=gradient: gradient(p, X, Y) for name, gradient in gradients.items()}
    times = microseconds(runs, rounds=30, inner=2)
    table(f"MLP 784-256-10, tanh, batch 128, {np.dtype(dtype)}", times, dict.fromkeys(gradients, "NumPy by hand"))
    ratio = times["refgrad, staged"] / times["NumPy by hand"]
    summarise(f"784-256-10, gradient, staged, {np.dtype(dtype)}", ratio, "x NumPy by hand", "<= 1.1")


def test_memory_of_a_gradient():
    p, X, Y = classifier(np.random.default_rng(0), (784, 256, 10), 128)
    by_hand, eager = peak(lambda: cross_entropy_gradient(p, X, Y)), peak(lambda: grad(cross_entropy)(p, X, Y))
    print(f"\nmemory, MLP 784-256-10: NumPy by hand {by_hand / 1e6:.2f} MB, gradient {eager / 1e6:.2f} MB")
    summarise("784-256-10, memory of the gradient", eager / by_hand, "x NumPy by hand", "<= 2")


def test_memory_of_sixty_four_inner_steps_under_checkpoint():
    p, X, Y = classifier(np.random.default_rng(0), (64, 32, 10), 256)

    def steps(count, p):
        for _ in range(count):
            p = tuple(a - g / 8 for a, g in zip(p, grad(cross_entropy)(p, X, Y), strict=True))
        return p

    def in_segments(p):
        for _ in range(8):
            p = checkpoint(lambda p: steps(8, p))(p)
        return cross_entropy(p, X, Y)

    plain = {k: peak(lambda k=k: grad(lambda p: cross_entropy(steps(k, p), X, Y))(p)) for k in (8, 16)}
    one = (plain[16] - plain[8]) / 8
    figure = peak(lambda: grad(in_segments)(p)) / one
    print(f"\nmemory, 64 inner steps of {one / 1e6:.2f} MB each: {figure:.1f} steps under checkpoint, in segments of 8")
    summarise("64 inner steps, memory under checkpoint", figure, "steps", "<= 20")
