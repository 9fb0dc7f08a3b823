"""A false lemma on positive definite matrices, its counterexamples, and what is true in its place.

Claim. For M symmetric and positive definite, ``<x, y> >= 0`` if and only if ``<x, M y> >= 0``.

Counterexample. M = [[1, -2], [-2, 5]], x = (1, 1), y = (1, 0): ``<x, y> = 1`` and ``<x, M y> = -1``.

The claim holds for all x and y if and only if M is a multiple of I. Otherwise some y is no eigenvector. Split
``M y = r y + n`` with n orthogonal to y; then ``x = t y - n`` with ``t = |n|^2 / (2 <y, M y>)`` has

    <x, y> = t |y|^2 > 0,     <x, M y> = t <y, M y> - |n|^2 = -|n|^2 / 2 < 0.

What is true. Let m and L bound the eigenvalues of M from below and above, and c = cos(x, y). For unit vectors x and y
the sum and the difference are orthogonal, of squared lengths 2 (1 + c) and 2 (1 - c), so that polarisation gives

    <x, M y> = 1/4 <x + y, M (x + y)> - 1/4 <x - y, M (x - y)> >= 1/2 (m (1 + c) - L (1 - c)),

with equality if the sum is an eigenvector of m and the difference one of L. Hence the sign is safe while
``L / m < (1 + c) / (1 - c)``, and beyond it some M reverses it: a condition number and an angle decide.

References
----------
The claim: Sener and Koltun 2018, arXiv 1810.04650, appendix A, in the proof of theorem 1. Compare Wielandt's
inequality (Horn and Johnson, Matrix Analysis, section 7.4) and Bauer and Householder 1960, Some inequalities involving
the Euclidean condition of a matrix, which bound the cosine in the metric of M instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from refgrad import exact
from refgrad.backend import of
from refgrad.contracts.tools.assemble import identity
from refgrad.contracts.tools.solve import may_vanish
from refgrad.errors import InvalidInput, NotApplicable, NotRational, Undecided
from refgrad.typing import Array, Scalar

__all__ = [
    "Violation",
    "counterexample",
    "is_positive_definite",
    "is_sign_safe",
    "smallest_product",
    "tight_matrix",
    "violation",
]


@dataclass(frozen=True)
class Violation:
    """A positive definite M and vectors with ``<x, y> > 0 > <x, M y>``.

    Attributes
    ----------
    M : array, shape (n, n)
    x, y : array, shape (n,)
    """

    M: Array
    x: Array
    y: Array

    @property
    def plain(self) -> Scalar:
        """``<x, y>``."""
        return self.x @ self.y

    @property
    def curved(self) -> Scalar:
        """``<x, M y>``."""
        return self.x @ (self.M @ self.y)


def counterexample() -> Violation:
    """A violation in small integers, with products 1 and -1; M has determinant 1."""
    return Violation(exact.asarray([[1, -2], [-2, 5]]), exact.asarray([1, 1]), exact.asarray([1, 0]))


def violation(M: Array) -> Violation:
    """Vectors that violate the claim for `M`.

    Parameters
    ----------
    M : array, shape (n, n)

    Raises
    ------
    InvalidInput
        If `M` is not symmetric and positive definite.
    NotApplicable
        If `M` is a multiple of the identity: then the claim holds.
    Undecided
        If balls cannot tell it from one.
    """
    if not is_positive_definite(M):
        raise InvalidInput("violation: expected a symmetric positive definite matrix; the claim is about no other")
    for y in axes_and_diagonals(M):
        along = y @ (M @ y)
        n = M @ y - along / (y @ y) * y
        if not may_vanish(n):
            return Violation(M, n @ n / (2 * along) * y - n, y)
    low, high = exact.bounds(M)
    if np.any(low != high):
        raise Undecided("violation: at this precision the matrix cannot be told from a multiple of the identity")
    raise NotApplicable("for a multiple of the identity the two products have one sign")


def axes_and_diagonals(M: Array) -> Iterator[Array]:
    """The unit vectors and the sums of the first with each other one: all are eigenvectors of multiples of I only."""
    axes = identity(M)
    yield from axes
    yield from (axes[0] + axis for axis in axes[1:])


def is_positive_definite(M: Array) -> bool:
    """Whether `M` is symmetric with positive pivots.

    That two balls are one number cannot be decided, only refuted. A matrix of balls none of which lies apart from its
    mirror image stands for the symmetric matrices that it encloses: True if all of them are positive definite, False
    if none is, and else `Undecided` is raised.

    Parameters
    ----------
    M : array, shape (n, n)
    """
    if not may_vanish(M - M.T):
        return False
    rest = M
    while len(rest):
        if not rest[0, 0] > 0:
            return False
        rest = rest[1:, 1:] - rest[1:, :1] * rest[:1, 1:] / rest[0, 0]
    return True


def is_sign_safe(x: Array, y: Array, smallest: Scalar, largest: Scalar) -> bool:
    """Whether ``<x, M y> > 0`` for *every* symmetric M with eigenvalues from `smallest` to `largest`.

    It is ``c > (L - m) / (L + m)`` with c = cos(x, y), squared, so that no root is taken: equivalent to
    ``L / m < (1 + c) / (1 - c)``.

    Parameters
    ----------
    x, y : array, shape (n,)
        With n of at least 2.
    smallest, largest : scalars
        Positive, m and L.
    """
    product, spread, total = x @ y, largest - smallest, largest + smallest
    return bool(product > 0) and bool(product * product * total * total > spread * spread * (x @ x) * (y @ y))


def smallest_product(x: Array, y: Array, smallest: Scalar, largest: Scalar) -> Scalar:
    """The least ``<x, M y>`` over all symmetric M with eigenvalues from `smallest` to `largest`, shape ().

    It is ``1/2 (m (|x| |y| + <x, y>) - L (|x| |y| - <x, y>))``.

    Parameters
    ----------
    x, y : array, shape (n,)
        With n of at least 2.
    smallest, largest : scalars
        Positive, m and L.

    Raises
    ------
    NotApplicable
        If the vectors are rational and ``|x| |y|`` is not; then give balls.
    """
    lengths, product = root((x @ x) * (y @ y)), x @ y
    return (smallest * (lengths + product) - largest * (lengths - product)) / 2


def tight_matrix(x: Array, y: Array, smallest: Scalar, largest: Scalar) -> Array:
    """The M, shape (n, n), that attains `smallest_product`.

    Its eigenvalue is `largest` along ``x/|x| - y/|y|`` and `smallest` across. Where x and y point the same way it is
    `smallest` times the identity.

    Parameters
    ----------
    x, y : array, shape (n,)
        Not zero.
    smallest, largest : scalars
        Positive, m and L.

    Raises
    ------
    NotApplicable
        If the vectors are rational and ``|x| |y|`` is not; then give balls.
    """
    w = x - root((x @ x) * (y @ y)) / (y @ y) * y
    base = smallest * identity(x)
    if w @ w == 0:
        return base
    return base + (largest - smallest) / (w @ w) * (w[:, None] * w[None, :])


def root(square: Scalar) -> Scalar:
    """The square root, shape (); of a rational number only if it is rational."""
    try:
        return of(square).sqrt(square)
    except NotRational:
        q = exact.to_fractions(square)
        found = Fraction(math.isqrt(q.numerator), math.isqrt(q.denominator))
        if found * found != q:
            raise NotApplicable(f"the product of the two lengths, the root of {q}, is not rational") from None
        return 0 * square + found
