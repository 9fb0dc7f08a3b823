"""A step in place of a gradient: of gradient descent, which keeps it, and the first of Adam, which keeps its signs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.accuracy import LIMIT
from refgrad.contracts.tools.answer import Variant
from refgrad.errors import UsageError
from refgrad.identification.layout import Layout
from refgrad.identification.ranking import FAR, MOVES, PATTERNS, Ranked, Ranking

__all__ = ["by_signs", "gradient_of"]

CANDIDATES = 40
"""Formulas with the fewest other signs, which are looked at with what rounding leaves of theirs."""
MOST = 0.5
"""Of the weights: if rounding leaves more signs open, a formula is not told by the others."""


def gradient_of(before: Any, after: Any, outer_lr: float) -> tuple[Any, float, bool]:
    """What a step says of a gradient, in its containers; what rounding leaves of that; whether that is its signs.

    Adam's first step is ``outer_lr g / (|g| + epsilon)``, the same length for every weight.
    """
    layout = Layout.of(before, "before")
    start = layout.flat(before, "before")
    moved = start - layout.flat(after, "after")
    if not np.any(moved):
        raise UsageError("before and after are equal: keep a copy, such as p.detach().clone(), from before the step")
    sizes = np.abs(moved[moved != 0])
    near = np.abs(sizes / abs(outer_lr) - 1)
    signs = len(sizes) > 2 and float(np.mean(near < 0.01)) > 0.95
    if not signs and len(sizes) > 20 and np.mean(near < 0.05) > 0.3 and sizes.max() < 1.05 * abs(outer_lr):
        raise UsageError(
            "many weights moved by outer_lr and none by more, as in a later step of Adam, which depends on the steps "
            "before it: give the gradients themselves, or before and after of the first step"
        )
    found = np.sign(moved / outer_lr) if signs else moved / outer_lr
    noise = 0.0 if signs else float(np.linalg.norm(start)) / abs(outer_lr)
    return layout.containers(layout.parts(found)), noise, bool(signs)


def by_signs(
    ranking: Ranking, variants: Sequence[Variant], progress: Callable[[int, int], None]
) -> list[tuple[Variant, float, int]]:
    """The formulas whose signs an output has, wherever rounding leaves them one, and of the others the nearest.

    Returns
    -------
    list of (Variant, float, int)
        With the share of weights that have another sign, and the number of signs that are sure; the best first.
    """
    signs, shares = np.sign(ranking.recorded.output), []
    for place, variant in enumerate(variants):
        progress(place, len(variants))
        value = ranking.value(variant)
        if value is not None and np.any(value):
            shares.append((float(np.mean(np.sign(value) != signs)), place))
            ranking.compared.append(Ranked(variant.name, variant.formula, variant.meaning, shares[-1][0]))
    found: list[tuple[float, int, np.ndarray]] = []
    left_open = 0.0
    for share, place in sorted(shares)[:CANDIDATES]:
        if any(not other for other, *_ in found) and share > FAR * left_open:
            found.append((share, place, np.zeros(0)))
            continue
        unit = ranking.recorded.unit
        value = ranking.value(variants[place])
        moved = [ranking.value(variants[place], unit, pattern) for pattern in range(1, PATTERNS + 1)]
        if value is None or any(m is None for m in moved):
            continue
        most = np.max([np.abs(m - value) for m in moved if m is not None], axis=0)
        sure = np.abs(value) > LIMIT * (most + unit * np.median(np.abs(value)))
        if np.mean(sure) >= MOST:
            found.append((float(np.mean(sure & (np.sign(value) != signs))), place, sure))
            left_open = max(left_open, float(np.mean(~sure)))
    found.sort(key=lambda f: f[:2])
    if found and found[0][0]:
        _, place, sure = found[0]
        value = ranking.value(variants[place])
        if value is not None:
            sure = _decided(ranking, variants[place], value, sure)
            found[0] = float(np.mean(sure & (np.sign(value) != signs))), place, sure
    return [(variants[place], share, int(sure.sum())) for share, place, sure in found]


def _decided(ranking: Ranking, variant: Variant, value: np.ndarray, sure: np.ndarray) -> np.ndarray:
    """The sure signs that stay where moves of more and more roundings turn decisions, as long as these are most."""
    for roundings in (3, 10, LIMIT):
        unit = roundings * ranking.recorded.unit
        moved = [ranking.value(variant, unit, pattern) for pattern in range(1, MOVES + 1)]
        left = np.all([sure, *(np.abs(m - value) < np.abs(value) for m in moved if m is not None)], axis=0)
        if np.mean(left) < MOST:
            break
        sure = left
    return sure
