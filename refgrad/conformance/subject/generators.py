"""The generators of random numbers that a whole process shares, set to a known state for one call."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = ["seeded"]


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's generator, NumPy's old one, torch's and CuPy's begin from `seed` inside, and go on as before after it.

    Of libraries that are imported. JAX has no such generator; generators that somebody makes for himself are his.
    """
    restorations = []
    for library in (_python, _numpy, _torch, _cupy):
        with contextlib.suppress(Exception):  # not imported, without a device, or replaced by the subject
            restorations.append(library(seed))
    try:
        yield
    finally:
        for restore in restorations:
            with contextlib.suppress(Exception):
                restore()


def _python(seed: int) -> Callable[[], Any]:
    state = random.getstate()
    random.seed(seed)
    return lambda: random.setstate(state)


def _numpy(seed: int) -> Callable[[], Any]:
    state = np.random.get_state()
    np.random.seed(seed)
    return lambda: np.random.set_state(state)


def _torch(seed: int) -> Callable[[], Any]:
    torch = sys.modules["torch"]
    state = torch.get_rng_state()
    devices = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []
    torch.manual_seed(seed)

    def restore() -> None:
        torch.set_rng_state(state)
        if devices:
            torch.cuda.set_rng_state_all(devices)

    return restore


def _cupy(seed: int) -> Callable[[], Any]:
    generators = sys.modules["cupy"].random
    state = generators.get_random_state()
    generators.set_random_state(generators.RandomState(seed))
    return lambda: generators.set_random_state(state)
