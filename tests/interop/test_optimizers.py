"""The optimisers of `refgrad.models` beside those of torch.optim."""

from __future__ import annotations

import numpy as np
import pytest

from refgrad.models import SGD, Adam

pytestmark = pytest.mark.interop

SETTINGS = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.3}),
    ("SGD", {"lr": 0.05, "momentum": 0.9}),
    ("SGD", {"lr": 0.05, "momentum": 0.5, "nesterov": True, "weight_decay": 0.1}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "b1": 0.5, "b2": 0.9, "epsilon": 1e-3, "weight_decay": 0.1}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "settings"), SETTINGS)
def test_twenty_steps_are_those_of_torch(name, settings, dtype):
    import torch

    rng = np.random.default_rng(0)
    A, start = rng.normal(size=(6, 4)).astype(dtype), rng.normal(size=4).astype(dtype)
    named = {"epsilon": "eps"}
    others = {named.get(key, key): value for key, value in settings.items() if key not in ("b1", "b2")}
    if "b1" in settings:
        others["betas"] = (settings["b1"], settings["b2"])
    theirs = torch.tensor(start, requires_grad=True)
    optimizer = getattr(torch.optim, name)([theirs], **others)
    ours, mine = start, {"SGD": SGD, "Adam": Adam}[name](**settings)
    state = mine.init(ours)
    for _ in range(20):
        gradient = (A.T @ np.tanh(A @ theirs.detach().numpy())).astype(
            dtype
        )  # of one point for both: steps are compared
        optimizer.zero_grad()
        theirs.grad = torch.tensor(gradient)
        optimizer.step()
        ours, state = mine.step(ours, gradient, state)
        # a step is a handful of roundings of parameters and of steps
        assert np.abs(ours - theirs.detach().numpy()).max() <= 20 * 8 * np.finfo(dtype).eps * np.abs(start).max()
    assert ours.dtype == dtype
