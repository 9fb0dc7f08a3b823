"""The orthonormal factor Q of ``A = Q R``, A of shape (..., m, n) with m >= n and linearly independent columns.

With ``Z = dA R^-1``, ``C = Q^T Z``, and U, L the upper triangle with the diagonal and the lower one without it
[walter2012]_::

    dQ    =  Z - Q (U(C) + L(C)^T)
    Abar  =  (Qbar - Q (U(N) + L(N^T))) R^-T,   N = Q^T Qbar

R itself is the upper triangle of ``Q^T A``, and derived as such. The signs of the columns are those which the array
library gives, and the derivative keeps them; on exact arrays the diagonal of R is positive.

.. [walter2012] S. F. Walter, L. Lehmann and R. Lamour, On evaluating higher-order derivatives of the QR decomposition
   of tall matrices with full column rank in forward and reverse mode algorithmic differentiation, Optimization Methods
   and Software 27 (2012).
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.autodiff.primitive import Primitive, case, full_rank
from refgrad.autodiff.rules.contract import matmul, matrix_transpose
from refgrad.autodiff.rules.triangular import solve_triangular, triangle
from refgrad.typing import Array

__all__ = ["orthonormal", "triangular_factor"]


def triangular_factor(q: Array, a: Array) -> Array:
    """R of ``A = Q R``: the upper triangle of ``Q^T A``."""
    return triangle(matmul(matrix_transpose(q), a), lower=False)


def _right_divided(x: Array, r: Array) -> Array:
    """``x R^-1``."""
    y = solve_triangular(matrix_transpose(r), matrix_transpose(x), lower=True, unit_diagonal=False)
    return matrix_transpose(y)


def _jvp(q: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    z = _right_divided(ts[0], triangular_factor(q, xs[0]))
    c = matmul(matrix_transpose(q), z)
    return z - matmul(q, triangle(c, lower=False) + matrix_transpose(triangle(c, strict=True)))


def _vjp(i: int, g: Array, q: Array, a: Array) -> Array:
    n = matmul(matrix_transpose(q), g)
    zbar = g - matmul(q, triangle(n, lower=False) + triangle(matrix_transpose(n), strict=True))
    r = triangular_factor(q, a)
    return matrix_transpose(solve_triangular(r, matrix_transpose(zbar), lower=False, unit_diagonal=False))


orthonormal: Primitive = Primitive(
    "orthonormal",
    lambda xp, a: xp.orthonormal(a),
    jvp=_jvp,
    vjp=_vjp,
    source="np.linalg.qr({0})[0]",
    cases=(case(full_rank(2, 2)), case(full_rank(3, 2)), case(full_rank(2, 3, 2)), case(full_rank(3, 1))),
)
