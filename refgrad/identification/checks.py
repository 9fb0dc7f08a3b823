"""What has to hold of a person's own functions before anything is named: the same number twice, a symmetric Hessian."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from refgrad.identification.engines import Derivatives
from refgrad.identification.functions import Batch
from refgrad.identification.ranking import distance
from refgrad.identification.recorded import Recorded

__all__ = ["asymmetry", "randomness"]


def randomness(recorded: Recorded) -> str:
    """What to say if two gradients of a person's function at the same point differ; else nothing."""
    from refgrad.conformance.subject.generators import seeded

    for one, points, data in _places(recorded):
        found = []
        for seed in (0, 1):
            with seeded(seed):
                found.append(one.afresh(points, data))
        if any(distance(a, b) > 1e-9 for a, b in zip(*found, strict=True)):
            return (
                f"cannot be told, for {one.name} is random: two gradients at the same point differ, as with dropout in "
                "train mode"
            )
    return ""


def asymmetry(recorded: Recorded) -> list[str]:
    """A note where the framework's second derivatives are not symmetric, along two random directions."""
    rng, notes = np.random.default_rng(0), []
    for one, points, data in _places(recorded):
        u, v = (rng.standard_normal(len(one.layouts[0])) for _ in "uv")
        Hu, Hv = (one.products(points, x, data)[0] for x in (u, v))
        scale = np.linalg.norm(Hu) * np.linalg.norm(v) + np.linalg.norm(Hv) * np.linalg.norm(u)
        if abs(v @ Hu - u @ Hv) > 1e-8 * scale:
            notes.append(
                f"the second derivatives of {one.name} by {one.engine} are not symmetric: v'Hu = {v @ Hu:.9g} and u'Hv "
                f"= {u @ Hv:.9g}; a custom backward pass or a change in place may be why, and the name may be wrong"
            )
    return notes


def _places(recorded: Recorded) -> Iterator[tuple[Derivatives, list[np.ndarray], list[Any]]]:
    """Each function with the point that it is given, and with its first batch if it takes batches."""
    arguments = recorded.arguments(0.0, 0)
    vectors = [x for x in arguments if isinstance(x, np.ndarray)]
    batches = [task[0] for x in arguments if isinstance(x, list) for task in x if isinstance(task[0], Batch)]
    for one in recorded.derivatives:
        yield one, vectors[: len(one.layouts)], batches[:1]
