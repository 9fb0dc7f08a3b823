"""Wide problems: the sizes and shapes that people use, which small problems of one shape leave out.

A contract states for each property of a problem, such as the number of steps or whether tasks have unequal sizes, the
range that a pass covers. Every end of every range is in at least two problems of every run, whatever the seed, and one
problem is at full size. Their numbers have the full mantissas of float64 and are made from a random generator in one
go, not number by number: an example shrinks by its sizes, to small integers, and not by its numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["COUNT", "Numbers", "Wide", "scale_of"]

COUNT = 12
"""Wide problems in a run."""


class Numbers:
    """Random numbers for a wide problem, as nested lists of floats.

    Parameters
    ----------
    rng : random.Random
        For choices that are no numbers.
    plain : bool
        Whether the numbers are small integers, for an example that is to be read, or have full mantissas.
    dtype : str
        What the subject works in: how large and how small a scale may be.
    """

    def __init__(self, rng: random.Random, plain: bool = False, dtype: str = "float64") -> None:
        self.rng, self.plain, self.dtype = rng, plain, dtype

    def number(self, bound: float = 2.0) -> float:
        """A number between ``-bound`` and `bound`."""
        if self.plain:
            return float(self.rng.randint(-max(1, int(bound)), max(1, int(bound))))
        return self.rng.uniform(-bound, bound)

    def vector(self, n: int, bound: float = 2.0) -> list[float]:
        """`n` numbers."""
        return [self.number(bound) for _ in range(n)]

    def matrix(self, rows: int, columns: int, bound: float = 2.0) -> list[list[float]]:
        """`rows` lists of `columns` numbers."""
        return [self.vector(columns, bound) for _ in range(rows)]


def scale_of(values: Iterable[float]) -> str:
    """Whether the largest of some numbers is ``"tiny"``, ``"huge"``, or neither."""
    most = max(map(abs, values), default=0.0)
    return "huge" if most > 2**7 else "tiny" if 0 < most < 2**-7 else "usual"


@dataclass(frozen=True)
class Wide:
    """The wide problems of a contract.

    Attributes
    ----------
    ranges : dict of str to sequence
        For each property what it may be: a `range` of numbers, whose ends are its first and its last, or a tuple, each
        element of which counts as an end. The small and simple ones come first.
    build : callable
        ``build(numbers, **properties)``: the inputs, made with `Numbers`.
    measure : callable
        ``measure(inputs)``: what a pass covers, read off any problem of the contract, wide or not: by name a number, a
        string, or a tuple of them.
    """

    ranges: Mapping[str, Sequence[Any]]
    build: Callable[..., Mapping[str, Any]]
    measure: Callable[[Mapping[str, Any]], Mapping[str, Any]]

    def inputs(self, seed: int, count: int = COUNT, dtype: str = "float64") -> list[Mapping[str, Any]]:
        """`count` inputs: the smallest, the largest, and a random mixture of the ends and of what lies between."""
        rng = random.Random(f"wide {seed}")
        columns = {name: _column(rng, values, count) for name, values in self.ranges.items()}
        every = [{name: column[i] for name, column in columns.items()} for i in range(count)]
        return [self.build(Numbers(rng, dtype=dtype), **properties) for properties in every]

    def covered(self, inputs: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
        """What `inputs` cover: for each property the smallest and the largest number, or every word."""
        found: dict[str, set[Any]] = {}
        for one in inputs:
            for name, value in self.measure(one).items():
                found.setdefault(name, set()).update(value if isinstance(value, tuple) else (value,))
        return {
            name: sorted(values) if any(isinstance(v, str) for v in values) else [min(values), max(values)]
            for name, values in found.items()
            if values
        }


def _column(rng: random.Random, values: Sequence[Any], count: int) -> list[Any]:
    """One property of `count` problems: the first at its first value, the second at its last, every end twice."""
    ends = [values[0], values[-1]] if isinstance(values, range) else list(values)
    rest = [*ends, *ends[1:-1]]
    rest += [rng.choice(values) for _ in range(count - 2 - len(rest))]
    rng.shuffle(rest)
    return [values[0], values[-1], *rest]
