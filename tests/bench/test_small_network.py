"""What the engine costs where NumPy's own calls cost nearly nothing: a network of a few hundred weights."""

from __future__ import annotations

import numpy as np
import pytest
from bench.measure import microseconds, summarise, table
from bench.networks import proved, small, square_gradient, square_hvp, square_loss

from refgrad import grad, hvp, per_example_grad, stage

pytestmark = pytest.mark.bench


def test_gradient_and_hvp_of_a_small_network():
    p, v, X, y = small(np.random.default_rng(0))
    loss = lambda p: square_loss(p, X, y)
    gradient = grad(loss)
    assert proved(square_gradient, grad(square_loss), p, X, y)
    assert proved(square_hvp, lambda p, v, X, y: hvp(lambda p: square_loss(p, X, y), p, v), p, v, X, y)
    staged_gradient, staged_hvp = stage(gradient, p), stage(lambda p, v: hvp(loss, p, v), p, v)
    for ours, theirs in zip(staged_gradient(p) + staged_hvp(p, v), gradient(p) + hvp(loss, p, v), strict=True):
        assert np.array_equal(ours, theirs)
    runs = {
        "loss": lambda: loss(p),
        "gradient, NumPy by hand": lambda: square_gradient(p, X, y),
        "gradient, eager": lambda: gradient(p),
        "gradient, staged": lambda: staged_gradient(p),
        "HVP, NumPy by hand": lambda: square_hvp(p, v, X, y),
        "HVP, eager": lambda: hvp(loss, p, v),
        "HVP, staged": lambda: staged_hvp(p, v),
    }
    wanted = {
        "gradient, eager": "<= 5",
        "HVP, eager": "<= 7",
        "gradient, staged": "<= 1.15",
        "HVP, staged": "<= 1.2",
    }
    times = microseconds(runs)
    against = {name: f"{name.partition(',')[0]}, NumPy by hand" for name in wanted}
    table("MLP 8-16-1, tanh, batch 4, float64", times, against)
    for name, bound in wanted.items():
        summarise(f"8-16-1, {name}", times[name] / times[against[name]], "x NumPy by hand", bound)


def test_gradients_of_examples_at_once_and_in_a_loop():
    rng = np.random.default_rng(0)
    p, _, _, _ = small(rng)
    X, y = rng.normal(size=(256, 8)), rng.normal(size=(256, 1))
    one, all_at_once = grad(square_loss), per_example_grad(square_loss)
    staged = stage(all_at_once, p, X, y)
    times = microseconds(
        {
            "per_example_grad": lambda: all_at_once(p, X, y),
            "per_example_grad, staged": lambda: staged(p, X, y),
            "loop over grad": lambda: [one(p, a, b) for a, b in zip(X, y, strict=True)],
        },
        rounds=8,
        inner=8,  # more than one or two: after the loop the first calls find nothing in the caches
    )
    table("MLP 8-16-1, 256 examples, float64", times, {"loop over grad": "per_example_grad"})
    for name in ("per_example_grad", "per_example_grad, staged"):
        summarise("256 gradients in a loop", times["loop over grad"] / times[name], f"x {name}", ">= 80")
