"""Strategies of matrices that are positive definite, orthogonal or of a chosen spectrum by construction.

Random symmetric integer matrices are rarely positive definite and never have the eigenvalues one would like, so all of
these are put together from parts. Every entry is an integer of at most 24 bits times a power of two, which float32
holds exactly; the arithmetic below is done in float64 and, with 53 bits, is exact as well.

Orthogonal matrices with such entries exist, other than signed permutations, for order 4 and above only: a sum of two or
three squares is a power of four only if all but one of them are zero, while 1 + 1 + 1 + 1 = 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from refgrad.backend.exact.rationals import as_fraction
from refgrad.errors import InvalidInput
from refgrad.strategies.numbers import check_kind, integers, rough, vector

__all__ = [
    "ill_conditioned",
    "orthogonal",
    "spd",
    "spd_with_spectrum",
    "step_size",
    "symmetric",
    "turned_round",
    "unit_triangular",
]

Rows = list[list[float]]
Matrices = SearchStrategy[Rows]

REFLECTIONS = 2
"""The most reflections that a product has; each multiplies entries by halves."""

DIRECTIONS = ((1, 0), *((2, 1), (1, 2), (2, -1), (1, -2)) * 2)
"""First eigenvectors in a plane: along an axis, which is the simplest, or with squared length 5."""


def step_size(matrices: Sequence[Rows]) -> float:
    """The largest power of two below the reciprocal of every trace, so that gradient descent contracts on each.

    The matrices are positive definite: no eigenvalue exceeds the trace.
    """
    _, exponent = math.frexp(max(float(np.trace(A)) for A in matrices))  # 2^exponent is the next power above
    return 2.0**-exponent


def turned_round(A: Rows) -> Rows:
    """`A` with rows and columns in reverse order: another matrix of the same spectrum.

    Hypothesis likes to repeat what it has drawn; turned round, a repetition differs from what it repeats.
    """
    return [row[::-1] for row in reversed(A)]


@st.composite
def unit_triangular(draw: Any, n: int, numbers: SearchStrategy[Any]) -> Rows:
    """Lower triangular matrices of order `n` with ones on the diagonal and `numbers` below; simplest the identity."""
    return [[*draw(vector(numbers, i)), 1.0, *[0.0] * (n - 1 - i)] for i in range(n)]


@st.composite
def symmetric(draw: Any, n: int, numbers: SearchStrategy[float] | None = None) -> Rows:
    """Symmetric matrices of order `n`, of any definiteness, with entries from `numbers`, else integers up to 2."""
    numbers = integers() if numbers is None else numbers
    rows: Rows = [draw(vector(numbers, i + 1)) for i in range(n)]
    return [[rows[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]


@st.composite
def spd(draw: Any, n: int, kind: str = "crisp") -> Rows:
    """Positive definite matrices ``L D L^T`` of order `n`, with L unit lower triangular; simplest the identity.

    Parameters
    ----------
    n : int
    kind : str
        ``"rough"``: L has odd multiples of 1/16 between -1 and 1, D between 1 and 3, so that entries are multiples of
        2^-12 below 3 n. Any other: integers from -1 to 1 and from 1 to 4.
    """
    below, diagonal = st.sampled_from((0.0, *(1.0, -1.0) * 2)), st.integers(1, 4).map(float)  # seldom diagonal
    if check_kind(kind) == "rough":
        below, diagonal = rough(1, 4), rough(1, 4).map(lambda x: 2 + x)
    L = np.array(draw(unit_triangular(n, below)))
    D = np.array(draw(vector(diagonal, n)))
    return ((L * D) @ L.T).tolist()


def orthogonal(n: int) -> Matrices:
    """Orthogonal matrices of order `n`, multiples of 1/4: products of at most two reflections; simplest the identity.

    Raises
    ------
    InvalidInput
        If `n` is below 4.
    """
    if n < 4:
        raise InvalidInput(
            f"expected n >= 4, got {n}: below, the only orthogonal matrices exact in binary are signed permutations"
        )
    return reflections(n)


@st.composite
def reflections(draw: Any, n: int) -> Rows:
    """Products of at most two reflections ``I - v v^T / 2`` of order `n`; v has four entries 1 or -1 and else zeros.

    The second v is the first moved on by one place, with one sign changed. For n = 4 their inner product is then 2 or
    -2; two drawn at random are often equal or orthogonal, and the product of their reflections a signed permutation.
    """
    count = draw(st.sampled_from((0, *(1, REFLECTIONS) * 4)))
    place = list(draw(st.sampled_from(list(combinations(range(n), 4)))))
    v, Q = np.zeros(n), np.eye(n)
    v[place] = draw(vector(st.sampled_from((1, -1)), 4))
    for _ in range(count):
        Q = Q @ (np.eye(n) - np.outer(v, v) / 2)
        v[place[0]] *= -1
        v = np.roll(v, 1)
    return Q.tolist()


def spd_with_spectrum(eigenvalues: Sequence[Any]) -> Matrices:
    """Symmetric matrices of shape (n, n) with exactly the n `eigenvalues`; simplest their diagonal matrix.

    For n of at least 4 they are ``Q diag(eigenvalues) Q^T`` with an `orthogonal` Q. For n of 2 or 3 the eigenvectors
    of one pair of eigenvalues are turned to (2, 1) and (-1, 2), up to signs and order: entries are fifths of the
    difference, which must therefore be a multiple of five.

    Parameters
    ----------
    eigenvalues : sequence of int, float or Fraction, length n
        Positive.

    Raises
    ------
    InvalidInput
        If there is none, if one of them is not between 2^-100 and 2^100, if entries would have more than the 24 bits of
        a float32, or if n is 2 or 3 and no two eigenvalues differ by a multiple of five times their common unit, the
        largest power of two that divides all of them. Equal ones do: their difference is zero.
    """
    values = [as_fraction(x) for x in eigenvalues]
    shown = ", ".join(map(str, values))
    if not values or not all(Fraction(1, 2**100) <= x <= 2**100 for x in values):
        raise InvalidInput(f"expected positive eigenvalues between 2^-100 and 2^100, got [{shown}]")
    unit = min(Fraction(x.numerator & -x.numerator, x.denominator) for x in values)
    bits = 24 - 2 * REFLECTIONS if len(values) >= 4 else 24
    if any(x.denominator & (x.denominator - 1) for x in values) or max(values) > unit * 2**bits:
        raise InvalidInput(
            f"expected eigenvalues that are multiples of a power of two no less than their largest / 2^{bits}, so that "
            f"entries are exact in float32; got [{shown}]"
        )
    floats = [float(x) for x in values]
    if len(values) == 1:
        return st.just([floats])
    if len(values) >= 4:
        return reflections(len(values)).map(lambda Q: ((np.array(Q) * floats) @ np.transpose(Q)).tolist())
    pairs = [(i, j) for i, j in combinations(range(len(values)), 2) if (values[i] - values[j]) / unit % 5 == 0]
    if not pairs:
        raise InvalidInput(
            f"expected four or more eigenvalues, or two that differ by a multiple of five times {unit}, such as 1 and "
            f"16, got [{shown}]: below order four, other matrices exact in binary are rare"
        )
    return st.builds(turn_plane, st.just(floats), st.sampled_from(pairs), st.sampled_from(DIRECTIONS))


def turn_plane(eigenvalues: list[float], pair: tuple[int, int], direction: tuple[int, int]) -> Rows:
    """The matrix that is diagonal but for the plane of a pair of axes, where the first eigenvector is `direction`."""
    A = np.diag(eigenvalues)
    first, second = (eigenvalues[i] for i in pair)
    projection = np.outer(direction, direction) * (first - second) / np.dot(direction, direction)
    A[np.ix_(pair, pair)] = second * np.eye(2) + projection
    return A.tolist()


def ill_conditioned(n: int, kappa: int | None = None) -> Matrices:
    """Positive definite matrices of shape (n, n) whose eigenvalues are powers of two from 1 to `kappa`, both included.

    Parameters
    ----------
    n : int
        At least 2.
    kappa : int, optional
        The condition number, a power of two up to 2^20; for n of 2 or 3 a power of 16, since 16^k - 1 is a multiple of
        five (see `spd_with_spectrum`). By default drawn from those between 2^2 and 2^14.

    Raises
    ------
    InvalidInput
        If there is no such matrix.
    """
    exponents = [k for k in range(21) if n >= 4 or k % 4 == 0]
    if n < 2 or (kappa is not None and kappa not in [2**k for k in exponents]):
        raise InvalidInput(
            f"expected n >= 2 and kappa a power of two up to 2^20, of 16 for n below 4; got n {n} and kappa {kappa}"
        )
    return spectral(n, [k for k in exponents if (2 <= k <= 14 if kappa is None else 2**k == kappa)])


@st.composite
def spectral(draw: Any, n: int, exponents: list[int]) -> Rows:
    """Matrices of order `n` with eigenvalues 1, 2^k for one of the `exponents`, and powers of two between."""
    largest = draw(st.sampled_from(exponents))
    between = draw(vector(st.integers(0, largest), n - 2))
    return draw(spd_with_spectrum([2**k for k in (0, largest, *between)]))
