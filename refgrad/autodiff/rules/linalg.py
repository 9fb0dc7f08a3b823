"""Linear systems.

For ``A X = B``: the tangent solves ``A X' = B' - A' X``; the cotangents are ``Bbar = A^-T Xbar`` and
``Abar = -Bbar X^T``. Both rules use `solve` itself, never a stored factorisation, so they nest to any order.
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.autodiff.core import Binary, Primitive
from refgrad.autodiff.domains import case, invertible, real
from refgrad.autodiff.primitive import unbroadcast
from refgrad.autodiff.rules.matrix import matmul, matrix_transpose
from refgrad.typing import Array

__all__ = ["solve"]


def _jvp(x: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    a, (da, db) = xs[0], ts
    if da is None:
        return solve(a, db)
    moved = matmul(da, x)
    return solve(a, -moved if db is None else db - moved)


def _vjp(i: int, xbar: Array, x: Array, a: Array, b: Array) -> Array:
    bbar = solve(matrix_transpose(a), xbar)
    if i == 1:
        return unbroadcast(bbar, b)
    return unbroadcast(-matmul(bbar, matrix_transpose(x)), a)


solve: Primitive = Binary(
    "solve",
    lambda xp, a, b: xp.solve(a, b),
    jvp=_jvp,
    vjp=_vjp,
    source="np.linalg.solve({0}, {1})",
    cases=(
        case(invertible(2, 2), real(2, 3)),
        case(invertible(3, 2, 2), real(2, 1)),
        case(invertible(3, 3), real(2, 3, 1)),
    ),
)
