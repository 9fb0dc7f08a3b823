"""The solution of ``A X = B`` in the sense of least squares, for matrices A of full rank.

Of a tall A (m >= n) it is the X of the smallest residual, of a wide one the X of the smallest norm that solves the
system: ``X = P B`` with the pseudoinverse P. Its derivatives, with ``R = B - A X``, need P and its transpose only,
which are solutions of the same kind, by A and by A^T [golub1973]_::

    dX    =  P (dB - dA X) + P P^T dA^T R                      tall
    dX    =  P (dB - dA X) + (1 - P A) dA^T P^T X              wide
    Bbar  =  P^T Xbar
    Abar  =  -Bbar X^T + R (P Bbar)^T                          tall
    Abar  =  -Bbar X^T + P^T X (Xbar - P A Xbar)^T             wide

Floating matrices are factored by QR, since ``A^T A`` has the square of the condition number; exact ones have no need of
it. Where the rank is not full, P is not continuous and there is nothing to differentiate: `SingularMatrix`.

.. [golub1973] G. H. Golub and V. Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems
   whose variables separate, SIAM Journal on Numerical Analysis 10 (1973), eq. (4.12).
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.autodiff.core import Binary, Primitive
from refgrad.autodiff.domains import case, full_rank, real
from refgrad.autodiff.primitive import unbroadcast
from refgrad.autodiff.rules.matrix import matmul, matrix_transpose
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["least_squares"]


def _excess(a: Array) -> int:
    """The number of rows less that of columns."""
    m, n = shape_of(a)[-2:]
    return m - n


def _jvp(x: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    (a, b), (da, db) = xs, ts
    if da is None:
        return least_squares(a, db)
    rhs = -matmul(da, x) if db is None else db - matmul(da, x)
    if _excess(a) == 0:
        return least_squares(a, rhs)
    at, dat = matrix_transpose(a), matrix_transpose(da)
    if _excess(a) > 0:
        return least_squares(a, rhs + least_squares(at, matmul(dat, b - matmul(a, x))))
    moved = matmul(dat, least_squares(at, x))
    return least_squares(a, rhs - matmul(a, moved)) + moved


def _vjp(i: int, xbar: Array, x: Array, a: Array, b: Array) -> Array:
    at, xt = matrix_transpose(a), matrix_transpose(x)
    bbar = least_squares(at, xbar)
    if i == 1:
        return unbroadcast(bbar, b)
    abar = -matmul(bbar, xt)
    if _excess(a) > 0:
        abar = abar + matmul(b - matmul(a, x), matrix_transpose(least_squares(a, bbar)))
    elif _excess(a) < 0:
        free = xbar - least_squares(a, matmul(a, xbar))
        abar = abar + matmul(least_squares(at, x), matrix_transpose(free))
    return unbroadcast(abar, a)


least_squares: Primitive = Binary(
    "least_squares",
    lambda xp, a, b: xp.least_squares(a, b),
    jvp=_jvp,
    vjp=_vjp,
    source="least_squares({0}, {1})",
    cases=(
        case(full_rank(3, 2), real(3, 2)),
        case(full_rank(2, 3), real(2, 1)),
        case(full_rank(2, 2), real(2, 1)),
        case(full_rank(2, 3, 2), real(3, 1)),
    ),
)
