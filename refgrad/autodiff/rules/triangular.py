"""Triangular systems and the Cholesky factor.

`solve_triangular` reads one triangle of its matrix; by the elements of the other its derivative is exactly 0.

`cholesky` is the factor of the symmetric matrix S with the lower triangle of its argument A, as in NumPy; the other one
is not read. Its derivative is that of a function of symmetric matrices, along the symmetric part of a direction,
``dS = (dA + dA^T) / 2``, and the gradient by A is symmetric. With ``S = L L^T`` and P(X) the lower triangle of X with
half its diagonal [murray2016]_::

    dL    =  L P(L^-1 dS L^-T)
    Sbar  =  L^-T P(L^T Lbar) L^-1

.. [murray2016] I. Murray, Differentiation of the Cholesky decomposition, arXiv:1602.07527, eqs. (8) and (10).
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.autodiff.core import Primitive, Unary
from refgrad.autodiff.domains import case, nonzero, positive_definite, real
from refgrad.autodiff.primitive import unbroadcast
from refgrad.autodiff.rules.matrix import matmul, matrix_transpose
from refgrad.autodiff.rules.shape import tri_mask
from refgrad.typing import Array

__all__ = ["cholesky", "solve_triangular", "symmetric_part", "triangle"]


def triangle(x: Array, lower: bool = True, strict: bool = False) -> Array:
    """The lower or upper triangle of `x`, with its diagonal unless `strict`, and zeros."""
    return tri_mask(x, part="tril", k=-strict) if lower else tri_mask(x, part="triu", k=int(strict))


def symmetric_part(x: Array) -> Array:
    """``(x + x^T) / 2``."""
    return (x + matrix_transpose(x)) / 2


def _solve_jvp(x: Array, xs: Sequence[Array], ts: Sequence[Array], lower: bool, unit_diagonal: bool) -> Array:
    a, (da, db) = xs[0], ts
    rhs = db
    if da is not None:
        moved = matmul(triangle(da, lower, unit_diagonal), x)
        rhs = -moved if db is None else db - moved
    return solve_triangular(a, rhs, lower=lower, unit_diagonal=unit_diagonal)


def _solve_vjp(i: int, xbar: Array, x: Array, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
    bbar = solve_triangular(matrix_transpose(a), xbar, lower=not lower, unit_diagonal=unit_diagonal)
    if i == 1:
        return unbroadcast(bbar, b)
    return unbroadcast(-triangle(matmul(bbar, matrix_transpose(x)), lower, unit_diagonal), a)


solve_triangular: Primitive = Primitive(
    "solve_triangular",
    lambda xp, a, b, lower, unit_diagonal: xp.solve_triangular(a, b, lower, unit_diagonal),
    jvp=_solve_jvp,
    vjp=_solve_vjp,
    source="solve_triangular({0}, {1}, {lower}, {unit_diagonal})",
    cases=(
        case(nonzero(2, 2), real(2, 3), lower=True, unit_diagonal=False),
        case(nonzero(3, 3), real(2, 3, 1), lower=False, unit_diagonal=False),
        case(nonzero(3, 2, 2), real(2, 1), lower=True, unit_diagonal=True),
    ),
)


def _half_diagonal(x: Array) -> Array:
    """The lower triangle of `x` with half its diagonal."""
    return (triangle(x) + triangle(x, strict=True)) / 2


def _cholesky_jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    half = solve_triangular(y, symmetric_part(ts[0]), lower=True, unit_diagonal=False)
    whole = solve_triangular(y, matrix_transpose(half), lower=True, unit_diagonal=False)
    return matmul(y, _half_diagonal(whole))


def _cholesky_vjp(i: int, ybar: Array, y: Array, x: Array) -> Array:
    upper = matrix_transpose(y)
    half = solve_triangular(upper, _half_diagonal(matmul(upper, ybar)), lower=False, unit_diagonal=False)
    whole = solve_triangular(upper, matrix_transpose(half), lower=False, unit_diagonal=False)
    return symmetric_part(whole)


cholesky: Primitive = Unary(
    "cholesky",
    lambda xp, a: xp.cholesky(a),
    jvp=_cholesky_jvp,
    vjp=_cholesky_vjp,
    source="np.linalg.cholesky({0})",
    cases=(case(positive_definite(2, 2)), case(positive_definite(3, 3)), case(positive_definite(2, 2, 2))),
)
