"""The factors of ``A = Q R``, A of shape (..., m, n) with m >= n and linearly independent columns.

With ``Z = dA R^-1``, ``C = Q^T Z``, and U, L the upper triangle with the diagonal and the lower one without it
[walter2012]_::

    dQ    =  Q (L(C) - L(C)^T) + (Z - Q C)
    dR    =  U(Q^T dA - (L(C) - L(C)^T) R)
    Abar  =  (Q L(N - N^T) + Qbar - Q N) R^-T,     N = Q^T Qbar
    Abar  =  Q (U(Rbar) + L(N^T - N) R^-T),        N = U(Rbar) R^T

``Z - Q C`` and ``Qbar - Q N`` are zero if m = n, and left out. Nothing else here divides by the last diagonal element
of R, since L has no last column; where it is small, rounding would otherwise be multiplied by the condition number. For
the same reason R is a primitive of its own, and not the product of A and a derived Q.

The signs of the columns are those which the array library gives, and the derivative keeps them; on exact arrays the
diagonal of R is positive.

.. [walter2012] S. F. Walter, L. Lehmann and R. Lamour, On evaluating higher-order derivatives of the QR decomposition
   of tall matrices with full column rank in forward and reverse mode algorithmic differentiation, Optimization Methods
   and Software 27 (2012).
"""

from __future__ import annotations

from collections.abc import Sequence

from refgrad.autodiff.core import Primitive, Unary
from refgrad.autodiff.domains import case, full_rank
from refgrad.autodiff.rules.matrix import matmul, matrix_transpose
from refgrad.autodiff.rules.triangular import solve_triangular, triangle
from refgrad.backend import shape_of
from refgrad.typing import Array

__all__ = ["orthonormal", "triangular_factor"]

_CASES = (case(full_rank(2, 2)), case(full_rank(3, 2)), case(full_rank(2, 3, 2)), case(full_rank(3, 1)))


def _over(x: Array, r: Array) -> Array:
    """``x R^-1``."""
    y = solve_triangular(matrix_transpose(r), matrix_transpose(x), lower=True, unit_diagonal=False)
    return matrix_transpose(y)


def _over_transpose(x: Array, r: Array) -> Array:
    """``x R^-T``."""
    return matrix_transpose(solve_triangular(r, matrix_transpose(x), lower=False, unit_diagonal=False))


def _skew(c: Array) -> Array:
    """``L(c) - L(c)^T``."""
    low = triangle(c, strict=True)
    return low - matrix_transpose(low)


def _is_tall(a: Array) -> bool:
    m, n = shape_of(a)[-2:]
    return m > n


def _q_jvp(q: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    z = _over(ts[0], triangular_factor(xs[0]))
    c = matmul(matrix_transpose(q), z)
    within = matmul(q, _skew(c))
    return within + (z - matmul(q, c)) if _is_tall(q) else within


def _q_vjp(i: int, g: Array, q: Array, a: Array) -> Array:
    n = matmul(matrix_transpose(q), g)
    zbar = matmul(q, triangle(n - matrix_transpose(n), strict=True))
    return _over_transpose(zbar + (g - matmul(q, n)) if _is_tall(q) else zbar, triangular_factor(a))


orthonormal: Primitive = Unary(
    "orthonormal",
    lambda xp, a: xp.orthonormal(a),
    jvp=_q_jvp,
    vjp=_q_vjp,
    source="np.linalg.qr({0})[0]",
    cases=_CASES,
)


def _r_jvp(r: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
    turned = matmul(matrix_transpose(orthonormal(xs[0])), ts[0])
    return triangle(turned - matmul(_skew(_over(turned, r)), r), lower=False)


def _r_vjp(i: int, g: Array, r: Array, a: Array) -> Array:
    g = triangle(g, lower=False)
    n = matmul(g, matrix_transpose(r))
    moved = _over_transpose(triangle(matrix_transpose(n) - n, strict=True), r)
    return matmul(orthonormal(a), g + moved)


triangular_factor: Primitive = Unary(
    "triangular_factor",
    lambda xp, a: xp.triangular_factor(a),
    jvp=_r_jvp,
    vjp=_r_vjp,
    source="np.linalg.qr({0})[1]",
    cases=_CASES,
)
