"""Wide problems of task gradients: one to a dozen gradients in up to forty dimensions, whose optimum is known.

In coordinates of which the first is that of the optimum, every row that carries weight is ``(level, h_k)`` with
``sum_k m_k h_k = 0`` for positive multiples m, so that the optimum is ``(level, 0)``; every other row is
``(level + something positive, anything)``. A reflection then mixes the coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from refgrad import exact
from refgrad.contracts.multitask.min_norm import optimal_weights
from refgrad.contracts.wide import Numbers, Wide

__all__ = ["DIRECTIONS", "WIDE"]

SCALES = {"as they are": 1.0, "tiny": 2.0**-30, "huge": 2.0**30}
EASY = ("general", "repeated", "cancelling", "unequal")
NEAR = 2.0**-10
CONDITION = 2.0**10
"""From the largest to the smallest of the steps between rows: the rows themselves come to 2^14."""


def ranges(*structures: str) -> dict[str, Any]:
    """What a pass covers, with the last of the structures in the largest problem."""
    return {
        "gradients": range(1, 13),
        "parameters": range(1, 41),
        "carrying": ("one", "some", "all"),
        "structure": (*EASY, *structures),
        "scale": tuple(SCALES),
    }


def build(
    numbers: Numbers,
    gradients: int,
    parameters: int,
    carrying: str,
    structure: str,
    scale: str,
    condition: float = CONDITION,
) -> dict[str, Any]:
    """The input ``J``, nested lists of shape (K, n).

    Parameters
    ----------
    numbers : Numbers
    gradients, parameters : int
        K and n. So that all of K rows carry weight, n is at least K where it is more than 1.
    carrying : str
        How many of the rows carry weight: one, some or all.
    structure : str
        ``"general"``; ``"repeated"``: rows that are equal to others, or multiples of them; ``"cancelling"``: a row that
        is zero, or the negative multiple of another, so that the optimum is 0; ``"unequal"``: lengths that differ by up
        to 2^20, with weights that make up for it; ``"near zero"``: an optimum 2^-10 as long as the rows, which are
        nearly dependent as well; ``"nearly dependent"``: rows of condition 2^14.
    scale : str
        Of all rows: 1, 2^-30 or 2^30.
    condition : float
        Of nearly dependent rows.
    """
    rng = numbers.rng
    some = rng.randint(4, gradients - 1) if gradients > 4 else rng.randint(1, gradients)
    count = {"one": 1, "some": some, "all": gradients}[carrying]
    n = max(parameters, count) if parameters > 1 else 1
    level = NEAR if structure == "near zero" else 1.0
    sizes = {"near zero": CONDITION, "nearly dependent": condition}
    face = on_a_level(numbers, count, n, sizes.get(structure, 1.0), structure == "unequal")
    idle = [[1 + abs(numbers.number()), *numbers.vector(n - 1)] for _ in range(gradients - count)]
    J = np.array([[level, *h] for h in face] + [[level * row[0], *row[1:]] for row in idle])
    if n == 1:
        J = J * (1.0 + np.arange(gradients)[:, None])  # else all that carry weight are equal
    if not numbers.plain:
        w = np.array(numbers.vector(n))
        J = J - np.outer(J @ w, 2 * w / (w @ w))
    if structure in ("repeated", "cancelling") and gradients > 1:
        repeat(numbers, J, structure)
    order = list(range(gradients))
    rng.shuffle(order)
    return {"J": (J[order] * SCALES[scale]).tolist()}


def on_a_level(numbers: Numbers, count: int, n: int, condition: float, unequal: bool) -> np.ndarray:
    """`count` vectors of ``n - 1`` numbers, of which a combination with positive multiples vanishes."""
    free = np.array(numbers.matrix(count, n - 1)).reshape(count, n - 1)
    multiples = np.array([1 + abs(round(numbers.number())) for _ in range(count - 1)], float)
    if condition > 1 and count > 2:
        sizes = 2.0 ** -np.round(np.linspace(0, np.log2(condition), count - 1))
        free[:-1] = np.cumsum(free[:-1] * sizes[:, None], axis=0)
    if unequal:
        free *= 2.0 ** np.array([[numbers.rng.randint(0, 20)] for _ in range(count)])
    free[-1] = -(multiples @ free[:-1])
    return free


def repeat(numbers: Numbers, J: np.ndarray, structure: str) -> None:
    """Replace rows of `J` by what degenerates, in place."""
    rng = numbers.rng
    one, other = rng.sample(range(len(J)), 2)
    if structure == "cancelling":
        J[one] = rng.choice((0.0, -1.0, -2.0)) * J[other]
        return
    J[one] = J[other]
    third = rng.randrange(len(J))
    if third not in (one, other):
        J[third] = 4 * J[other]


def measure(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """K, n, how many rows carry weight, the size of the largest entry, and what is special about the rows."""
    J = np.array(inputs["J"])
    return {
        "gradients": len(J),
        "parameters": J.shape[1],
        "gradients with weight": sum(bool(a > 0) for a in optimal_weights(exact.asarray(J))),
        "largest entry": float(f"{np.abs(J).max():.0e}"),
        "rows": special(J),
    }


def special(J: np.ndarray) -> tuple[str, ...]:
    """What is special about some rows: zero, equal, parallel or opposite ones, or more of them than parameters."""
    found = ["more than parameters"] if len(J) > J.shape[1] else []
    for i, g in enumerate(J):
        found += [] if g.any() else ["zero"]
        for h in J[:i]:
            place = int(np.abs(h).argmax())
            if h[place] and g[place] and np.array_equal(g * h[place], h * g[place]):
                found.append("equal" if np.array_equal(g, h) else "parallel" if g[place] / h[place] > 0 else "opposite")
    return tuple(sorted(set(found))) or ("general",)


WIDE = Wide(ranges("near zero", "nearly dependent"), build, measure)
"""Of weights, whose gap tells solvers by an inverse of the Gram matrix where the rows are nearly dependent."""

DIRECTIONS = Wide(ranges("nearly dependent", "near zero"), partial(build, condition=2.0**6), measure)
"""Of directions: what squares the condition of the rows loses a direction that is short beside them.

The error of a long one grows with the condition in the best of methods, in some by a large constant.
"""
