"""Strategies of single numbers: floats and fractions. All but `rough` are exact in float32, and shrink to integers.

They *construct* what they promise and never filter for it: a filter makes the search slow and the smallest example
unreadable. Lists are drawn element by element, so that a smaller example is also a sparser one.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from refgrad.errors import InvalidInput

__all__ = [
    "KINDS", "check_kind", "dyadics", "entries", "halves", "integers", "matrix", "powers_of_two", "rationals",
    "rough", "vector",
]  # fmt: skip

Floats = SearchStrategy[float]
GOLDEN = 0.6180339887498949
KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")


def integers(bound: int = 2) -> Floats:
    """Integers from ``-bound`` to ``bound``, as floats."""
    return st.integers(-bound, bound).map(float)


def halves(bound: int = 2) -> Floats:
    """Multiples of 1/2 from ``-bound`` to ``bound``; integers come first when an example shrinks."""
    return st.one_of(integers(bound), st.integers(-bound, bound - 1).map(lambda k: k + 0.5))


def dyadics(bound: int = 2, bits: int = 4) -> Floats:
    """Multiples of 2^-bits, at least ``-bound`` and less than `bound`; integers come first when an example shrinks.

    Parameters
    ----------
    bound : int
    bits : int

    Raises
    ------
    InvalidInput
        If numbers that large and that fine do not all fit into the 24 bits of a float32.
    """
    if bits < 0 or not 0 < bound * 2**bits <= 2**24:
        raise InvalidInput(
            f"expected bits >= 0 and 0 < bound * 2^bits <= 2^24, so that every multiple of 2^-bits up to bound is "
            f"exact in float32; got bound {bound} and bits {bits}"
        )
    # the part after the point is drawn first, and so is the first to become zero
    parts, wholes = st.integers(0, 2**bits - 1), st.integers(-bound, bound - 1)
    return st.builds(lambda part, whole: whole + part / 2**bits, parts, wholes)


def rationals(bound: int = 64, denominators: tuple[int, ...] = (1, 2, 4, 8, 3, 5)) -> SearchStrategy[Fraction]:
    """Fractions, not floats: an integer from ``-bound`` to ``bound`` by one of the `denominators`, simplest first.

    Parameters
    ----------
    bound : int
    denominators : tuple of ints
        Positive.
    """
    return st.builds(Fraction, st.integers(-bound, bound), st.sampled_from(denominators))


def rough(bound: int = 2, bits: int = 53) -> Floats:
    """Odd multiples of bound / 2^bits below `bound`, a power of two: 53 bits are all that a float64 has.

    None of them is a float32 unless `bits` is 24 at most, so that a function which rounds its inputs to single
    precision shows; a run in float32 rounds them before anything is computed. Fewer bits leave room for exact products.
    Hypothesis prefers small integers, which would make nearly all of the numbers tiny; multiplication modulo 2^bits by
    an odd constant near the golden section of 2^bits permutes the integers and spreads them.
    """
    size = 2**bits
    stride = int(GOLDEN * size) | 1
    return st.integers(0, size - 1).map(lambda k: (2 * (k * stride % size) + 1 - size) * bound / size)


def check_kind(kind: str) -> str:
    """`kind`, if it is one of the four."""
    if kind not in KINDS:
        raise InvalidInput(f"expected a kind of problem, one of {', '.join(KINDS)}; got {kind!r}")
    return kind


def entries(kind: str, bound: int = 2) -> Floats:
    """The entries of a problem's arrays: rough for kind ``"rough"``, integers up to `bound` otherwise."""
    return rough() if check_kind(kind) == "rough" else integers(bound)


def powers_of_two() -> Floats:
    """1, 2, 1/2 or 4: the weight of a penalty."""
    return st.sampled_from((1.0, 2.0, 0.5, 4.0))


def vector(numbers: SearchStrategy[Any], n: int) -> SearchStrategy[list[Any]]:
    """Lists of `n` numbers."""
    return st.lists(numbers, min_size=n, max_size=n)


def matrix(numbers: SearchStrategy[Any], rows: int, columns: int) -> SearchStrategy[list[list[Any]]]:
    """Lists of `rows` lists of `columns` numbers."""
    return vector(vector(numbers, columns), rows)
