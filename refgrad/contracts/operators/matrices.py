"""Products, determinants, inverses and linear systems.

    matmul   a b            D = u_a b + a u_b                     D^2 = u_a v_b + v_a u_b
    inv      X = x^-1       D = -X u X                            D^2 = X u X v X + X v X u X
    solve    y = a^-1 b     D = y_u = X (u_b - u_a y)             D^2 = -X (u_a y_v + v_a y_u)
    logdet                  D = tr(X u)                           D^2 = -tr(X u X v)
    det                     the rows of x, one replaced by the     and two replaced, one by the row of u
                            row of u, summed over rows            and one by that of v

The determinant is linear in each row, which gives its derivatives for singular matrices as well, of any rank.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.contracts.tools.solve import checked_inverse, may_vanish
from refgrad.contracts.tools.terms import settled
from refgrad.typing import Array

__all__ = ["DET", "INV", "LOGDET", "MATMUL", "SOLVE", "inverse"]

SLOGDET = "https://github.com/pytorch/pytorch/issues/196697"
NESTED = "https://github.com/pytorch/pytorch/issues/192540"


def inverse(x: Array) -> Array:
    """The inverse, multiplied back."""
    return checked_inverse(x)


def trace(x: Array) -> Array:
    """The sum of the diagonal of a matrix."""
    return sum((x[i, i] for i in range(len(x))), 0 * x[0, 0])


@lru_cache
def minors(n: int) -> tuple[tuple[Any, Any, Any], ...]:
    """For r of 1 to n what expands the minors of the first r rows along the last of them.

    Row by row of three arrays, for each choice of r columns: one of them, the minor without it among those of r - 1
    rows, and the sign.
    """
    found = []
    before: dict[tuple[int, ...], int] = {(): 0}
    for r in range(1, n + 1):
        chosen = list(combinations(range(n), r))
        left = [[before[c[:k] + c[k + 1 :]] for k in range(r)] for c in chosen]
        found.append((np.array(chosen), np.array(left), (-1) ** (r - 1 + np.arange(r))))
        before = {c: i for i, c in enumerate(chosen)}
    return tuple(found)


def expand(x: Array, u: Array, v: Array) -> tuple[Array, Array, Array, Array]:
    """The determinant d with the sums over rows of determinants in which one or two rows are replaced.

    These are ``d, sum_i det(x, row i of u), sum_j det(x, row j of v), sum_{i < j} det(x, row i of u, row j of v)``; the
    magnitude of a determinant is the permanent.
    """
    d = 0 * x[0, :1] + 1
    d_u = d_v = d_uv = 0 * d
    for r, (column, left, sign) in enumerate(minors(len(x))):
        rows = [sign * part[r][column] for part in (x, u, v)]
        d_uv = (rows[0] * d_uv[left] + rows[2] * d_u[left]).sum(1)
        d_v = (rows[0] * d_v[left] + rows[2] * d[left]).sum(1)
        d_u = (rows[0] * d_u[left] + rows[1] * d[left]).sum(1)
        d = (rows[0] * d[left]).sum(1)
    return d[0], d_u[0], d_v[0], d_uv[0]


def determinant(x: Array) -> Array:
    """The determinant."""
    return expand(x, x, x)[0]


def det_first(x: Array, u: Array) -> Array:
    """``sum_i det(x with row i of u)``."""
    return expand(x, u, u)[1]


def det_pairs(x: Array, u: Array, v: Array) -> Array:
    """``sum_{i < j} det(x with row i of u and row j of v)``."""
    return expand(x, u, v)[3]


def det_second(x: Array, u: Array, v: Array) -> Array:
    """``sum_{i != j} det(x with row i of u and row j of v)``."""
    return det_pairs(x, u, v) + det_pairs(x, v, u)


def regular(x: Array) -> tuple[Array, Array]:
    """The determinant and the inverse of a matrix that has one."""
    d = determinant(x)
    if may_vanish(d):
        raise NotApplicable("the formula needs the inverse, and the matrix is singular")
    return d, inverse(x)


def det_times_trace(x: Array, u: Array) -> Array:
    """``det tr(X u)``, and 0 where det is."""
    d = determinant(x)
    return 0 * d if may_vanish(d) else det_first(x, u)


def det_saved(x: Array, u: Array, v: Array) -> Array:
    """``det tr(X u) tr(X v)``: X does not move."""
    d, X = regular(x)
    return d * trace(X @ u) * trace(X @ v)


def det_remainder(x: Array, u: Array, v: Array) -> Array:
    """``-det tr(X u X v)``: det does not move."""
    d, X = regular(x)
    return -d * trace(X @ u @ X @ v)


DET = Operator(
    name="det",
    formula="the determinant of a matrix x of shape (n, n), singular or not",
    value=determinant,
    first=det_first,
    second=det_second,
    shape=lambda x: (),
    wrong={
        1: (
            Variant(
                "zero-where-singular",
                "det tr(X u), 0 where det = 0",
                "zero at singular matrices, where the formula det tr(X u) does not say what the derivative is",
                (),
                det_times_trace,
            ),
            Variant("trace", "tr u", "the derivative at the identity, whatever x is", (), lambda x, u: trace(u)),
            Variant(
                "transposed",
                "det tr(X^T u)",
                "the derivative with the inverse transposed",
                (),
                lambda x, u: det_first(x.mT, u),
            ),
        ),
        2: (
            Variant(
                "saved-factors",
                "det tr(X u) tr(X v)",
                "the derivative of det tr(X u) with the factors that solve for X u held still",
                ("https://github.com/pytorch/pytorch/issues/196696", NESTED),
                det_saved,
            ),
            Variant(
                "value-saved",
                "-det tr(X u X v)",
                "the derivative of det tr(X u) with the determinant held still",
                (),
                det_remainder,
            ),
            Variant(
                "one-cross-term",
                "sum_{i<j} det(x with row i of u, row j of v)",
                "one of the two cross terms: for rows i < j only u in the first and v in the second",
                (),
                det_pairs,
            ),
        ),
    },
)

LOGDET = Operator(
    name="logdet",
    formula="log det x of a positive definite matrix x of shape (n, n)",
    value=lambda x: of(x).log(settled(determinant(x))),
    first=lambda x, u: trace(inverse(x) @ u),
    second=lambda x, u, v: -trace(inverse(x) @ u @ inverse(x) @ v),
    shape=lambda x: (),
    directions="symmetric",
    wrong={
        1: (
            Variant("determinant", "det tr(X u)", "the derivative of det", (), det_first),
            Variant("trace", "tr u", "the derivative at the identity, whatever x is", (), lambda x, u: trace(u)),
        ),
        2: (
            Variant(
                "saved-factors",
                "0",
                "zero: the factors that solve for X u are held still",
                (SLOGDET, NESTED),
                lambda x, u, v: 0 * trace(u),
            ),
            Variant(
                "second-derivative-sign",
                "tr(X u X v)",
                "the second derivative with the wrong sign",
                (),
                lambda x, u, v: trace(inverse(x) @ u @ inverse(x) @ v),
            ),
            Variant(
                "product-of-traces",
                "-tr(X u) tr(X v)",
                "the product of the first derivatives",
                (),
                lambda x, u, v: -trace(inverse(x) @ u) * trace(inverse(x) @ v),
            ),
        ),
    },
)


def inv_term(x: Array, u: Array, v: Array) -> Array:
    """``X u X v X``."""
    X = inverse(x)
    return X @ u @ X @ v @ X


INV = Operator(
    name="inv",
    formula="the inverse of a matrix x of shape (n, n)",
    value=inverse,
    first=lambda x, u: -inverse(x) @ u @ inverse(x),
    second=lambda x, u, v: inv_term(x, u, v) + inv_term(x, v, u),
    shape=lambda x: x,
    wrong={
        1: (
            Variant(
                "transposed",
                "-X^T u X^T",
                "the transposed derivative, what a vjp computes",
                (),
                lambda x, u: -inverse(x).mT @ u @ inverse(x).mT,
            ),
            Variant(
                "squared",
                "-X X u",
                "a derivative as if matrices commuted",
                (),
                lambda x, u: -inverse(x) @ inverse(x) @ u,
            ),
        ),
        2: (
            Variant("one-cross-term", "X u X v X", "one of the two cross terms", (), inv_term),
            Variant(
                "other-cross-term",
                "X v X u X",
                "one of the two cross terms",
                (),
                lambda x, u, v: inv_term(x, v, u),
            ),
        ),
    },
)


def solution(x: Any) -> Array:
    """``X b``."""
    a, b = x
    return inverse(a) @ b


def solve_first(x: Any, u: Any) -> Array:
    """``y_u = X (u_b - u_a y)``."""
    return inverse(x[0]) @ (u[1] - u[0] @ solution(x))


def solve_term(x: Any, u: Any, v: Any) -> Array:
    """``-X u_a y_v``."""
    return -inverse(x[0]) @ (u[0] @ solve_first(x, v))


def solve_transposed(x: Any, u: Any) -> Array:
    """The derivative of the solution of ``a^T y = b``."""
    return solve_first((x[0].mT, x[1]), (u[0].mT, u[1]))


SAVED = "the derivative of X (u_b - u_a y) with the factors of a held still: one of the two cross terms"

SOLVE = Operator(
    name="solve",
    formula="the solution y of a y = b for a of shape (n, n) and b of shape (n, k)",
    value=solution,
    first=solve_first,
    second=lambda x, u, v: solve_term(x, u, v) + solve_term(x, v, u),
    shape=lambda a, b: b,
    inputs=("a", "b"),
    wrong={
        1: (
            Variant("transposed-system", "the same for a^T", "the derivative for a^T y = b", (), solve_transposed),
            Variant(
                "second-term-sign",
                "X (u_b + u_a y)",
                "a derivative with the wrong sign before u_a y",
                (),
                lambda x, u: inverse(x[0]) @ (u[1] + u[0] @ solution(x)),
            ),
        ),
        2: (
            Variant("saved-factors", "-X u_a y_v", SAVED, (NESTED,), solve_term),
            Variant(
                "saved-factors-other-order",
                "-X v_a y_u",
                SAVED + ", with u and v exchanged",
                (NESTED,),
                lambda x, u, v: solve_term(x, v, u),
            ),
        ),
    },
)

MATMUL = Operator(
    name="matmul",
    formula="the product a b of matrices of shapes (m, n) and (n, k)",
    value=lambda x: x[0] @ x[1],
    first=lambda x, u: u[0] @ x[1] + x[0] @ u[1],
    second=lambda x, u, v: u[0] @ v[1] + v[0] @ u[1],
    shape=lambda a, b: (a[0], b[1]),
    inputs=("a", "b"),
    bilinear=True,
    wrong={
        1: (
            Variant("product-of-directions", "u_a u_b", "the product of the directions", (), lambda x, u: u[0] @ u[1]),
        ),
        2: (
            Variant(
                "input-detached",
                "0",
                "zero: one of the inputs is held still",
                (),
                lambda x, u, v: 0 * (u[0] @ v[1]),
            ),
            Variant("one-cross-term", "u_a v_b", "one of the two cross terms", (), lambda x, u, v: u[0] @ v[1]),
            Variant("other-cross-term", "v_a u_b", "one of the two cross terms", (), lambda x, u, v: v[0] @ u[1]),
        ),
    },
)
