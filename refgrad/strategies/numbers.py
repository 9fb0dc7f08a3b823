"""Strategies of single numbers. All of them are floats exact in float32; all but `rough` shrink to small integers.

They *construct* what they promise and never filter for it: a filter makes the search slow and the smallest example
unreadable. Lists are drawn element by element, so that a smaller example is also a sparser one.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

__all__ = ["entries", "halves", "integers", "matrix", "rough", "vector"]

Floats = SearchStrategy[float]
SPREAD = 0x9E3779B1


def integers(bound: int = 2) -> Floats:
    """Integers from ``-bound`` to ``bound``, as floats."""
    return st.integers(-bound, bound).map(float)


def halves(bound: int = 2) -> Floats:
    """Multiples of 1/2 from ``-bound`` to ``bound``; integers come first when an example shrinks."""
    return st.one_of(integers(bound), st.integers(-bound, bound - 1).map(lambda k: k + 0.5))


def rough(bound: int = 2) -> Floats:
    """Numbers below `bound`, a power of two, with all 24 bits of a float32 in use: odd multiples of bound / 2^24.

    Hypothesis prefers small integers, which would make nearly all of the numbers tiny; multiplication by an odd
    constant modulo 2^24 permutes the integers and spreads them.
    """
    return st.integers(0, 2**24 - 1).map(lambda k: (2 * (k * SPREAD % 2**24) + 1 - 2**24) * bound / 2**24)


def entries(kind: str, bound: int = 2) -> Floats:
    """The entries of a problem's arrays: rough for kind ``"rough"``, integers up to `bound` otherwise."""
    return rough() if kind == "rough" else integers(bound)


def vector(numbers: SearchStrategy[Any], n: int) -> SearchStrategy[list[Any]]:
    """Lists of `n` numbers."""
    return st.lists(numbers, min_size=n, max_size=n)


def matrix(numbers: SearchStrategy[Any], rows: int, columns: int) -> SearchStrategy[list[list[Any]]]:
    """Lists of `rows` lists of `columns` numbers."""
    return vector(vector(numbers, columns), rows)
