"""The Cholesky factor, and the inverse and solutions computed from one.

``cholesky``: for ``x = L L^T`` and symmetric u and v, with Phi(S) the lower triangle of S with its diagonal lower_half,

    D = L_u = L Phi(L^-1 u L^-T),        D^2 = -L Phi(L^-1 (L_u L_v^T + L_v L_u^T) L^-T),

the first by [murray2016]_, the second from ``0 = L_uv L^T + L_u L_v^T + L_v L_u^T + L L_uv^T``, which is the second
derivative of ``x = L L^T``.

``cholesky_inverse`` and ``cholesky_solve`` take a lower triangular l: with ``a = l l^T``, ``X = a^-1``, ``y = X b``,

    a_u = u l^T + l u^T,                                   a_uv = u v^T + v u^T,
    D X = -X a_u X,                                        D^2 X = X a_u X a_v X + X a_v X a_u X - X a_uv X,
    D y = y_u = X (u_b - a_u y),                           D^2 y = -X (a_u y_v + a_v y_u + a_uv y).

References
----------
.. [murray2016] Murray 2016, Differentiation of the Cholesky decomposition, arXiv 1602.07527.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.operators.matrices import inverse
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.contracts.tools.assemble import vector
from refgrad.contracts.tools.terms import settled
from refgrad.typing import Array

__all__ = ["CHOLESKY", "CHOLESKY_INVERSE", "CHOLESKY_SOLVE", "factor"]

MURRAY = "Murray 2016, Differentiation of the Cholesky decomposition, arXiv 1602.07527"
PYTORCH_INVERSE = ("https://github.com/pytorch/pytorch/issues/196682", "https://github.com/pytorch/pytorch/pull/197010")
PYTORCH_SOLVE = ("https://github.com/pytorch/pytorch/issues/196694",)


def factor(x: Array) -> Array:
    """The lower triangular L with ``L L^T = x``, from the lower triangle of x, column by column."""
    xp, n = of(x), len(x)
    L: dict[tuple[int, int], Any] = {}
    for j in range(n):
        rest = x[j, j] - sum((L[j, k] * L[j, k] for k in range(j)), 0 * x[j, j])
        L[j, j] = xp.sqrt(settled(rest))
        for i in range(j + 1, n):
            rest = x[i, j] - sum((L[i, k] * L[j, k] for k in range(j)), 0 * x[j, j])
            L[i, j] = settled(rest) / L[j, j]
    return xp.reshape(vector([L.get((i, j), 0 * x[0, 0]) for i in range(n) for j in range(n)]), (n, n))


def lower_half(S: Array, diagonal: int = 2) -> Array:
    """``Phi(S)``: the lower triangle, its diagonal divided by 2."""
    n = S.shape[-1]
    mask = np.tril(np.full((n, n), 2), -1) + np.eye(n, dtype=int) * (2 // diagonal)
    return S * mask / 2


def congruence(L: Array, S: Any) -> Array:
    """``L^-1 S L^-T``."""
    return inverse(L) @ S @ inverse(L).mT


def cholesky_first(x: Array, u: Array) -> Array:
    """``L Phi(L^-1 u L^-T)``."""
    L = factor(x)
    return L @ lower_half(congruence(L, u))


def cholesky_second(x: Array, u: Array, v: Array) -> Array:
    """``-L Phi(L^-1 (L_u L_v^T + L_v L_u^T) L^-T)``."""
    L, L_u, L_v = factor(x), cholesky_first(x, u), cholesky_first(x, v)
    return -L @ lower_half(congruence(L, L_u @ L_v.mT + L_v @ L_u.mT))


def inner_saved(x: Array, u: Array, v: Array) -> Array:
    """``L_v Phi(L^-1 u L^-T)``."""
    return cholesky_first(x, v) @ lower_half(congruence(factor(x), u))


CHOLESKY = Operator(
    name="cholesky",
    formula="the lower triangular L with positive diagonal and L L^T = x, for a positive definite x of shape (n, n)",
    value=factor,
    first=cholesky_first,
    second=cholesky_second,
    shape=lambda x: x,
    directions="symmetric",
    references=(MURRAY,),
    wrong={
        1: (
            Variant(
                "diagonal-not-halved",
                "L tril(L^-1 u L^-T)",
                "a derivative whose Phi does not halve the diagonal",
                (),
                lambda x, u: factor(x) @ lower_half(congruence(factor(x), u), 1),
            ),
            Variant(
                "not-triangular",
                "L (L^-1 u L^-T) / 2",
                "a derivative with half of all, not the lower triangle",
                (),
                lambda x, u: factor(x) @ congruence(factor(x), u) / 2,
            ),
        ),
        2: (
            Variant(
                "inner-factors-saved",
                "L_v Phi(L^-1 u L^-T)",
                "the derivative of L Phi(L^-1 u L^-T) with the factors inside Phi held still",
                (),
                inner_saved,
            ),
            Variant(
                "saved-factors",
                "0",
                "zero: the factor L is held still",
                (),
                lambda x, u, v: 0 * u,
            ),
        ),
    },
)


def product(l: Array) -> Array:
    """``l l^T``."""
    return l @ l.mT


def sides(l: Array, u: Array) -> Array:
    """``u l^T + l u^T``."""
    return u @ l.mT + l @ u.mT


def inverse_second(l: Array, u: Array, v: Array) -> Array:
    """``X a_u X a_v X + X a_v X a_u X - X a_uv X``."""
    X, a_u, a_v = inverse(product(l)), sides(l, u), sides(l, v)
    return X @ a_u @ X @ a_v @ X + X @ a_v @ X @ a_u @ X - X @ sides(v, u) @ X


def out_of_order(l: Array, u: Array) -> Array:
    """``K + K^T`` with ``K = -X u X l^T``, where ``-X u l^T X`` is right."""
    X = inverse(product(l))
    K = X @ u @ X @ l.mT
    return -(K + K.mT)


def out_of_order_twice(l: Array, u: Array, v: Array) -> Array:
    """The derivative of `out_of_order` along v, with X moving by the same wrong rule."""
    X, X_v = inverse(product(l)), out_of_order(l, v)
    K = X_v @ u @ X @ l.mT + X @ u @ X_v @ l.mT + X @ u @ X @ v.mT
    return -(K + K.mT)


ORDER = "a derivative with X and l^T in the wrong order, right where matrices commute"

CHOLESKY_INVERSE = Operator(
    name="cholesky_inverse",
    formula="the inverse of x x^T for a lower triangular x of shape (n, n) with positive diagonal",
    value=lambda x: inverse(product(x)),
    first=lambda x, u: -inverse(product(x)) @ sides(x, u) @ inverse(product(x)),
    second=inverse_second,
    shape=lambda x: x,
    directions="lower triangular",
    wrong={
        1: (
            Variant("factors-out-of-order", "K + K^T, K = -X u X x^T", ORDER, PYTORCH_INVERSE, out_of_order),
            Variant(
                "one-term",
                "-X u x^T X",
                "one of the two terms, which is not symmetric",
                (),
                lambda x, u: -inverse(product(x)) @ (u @ x.mT) @ inverse(product(x)),
            ),
        ),
        2: (
            Variant(
                "factors-out-of-order",
                "the derivative along v of K + K^T, K = -X u X x^T",
                ORDER,
                PYTORCH_INVERSE,
                out_of_order_twice,
            ),
            Variant(
                "second-order-term-missing",
                "X a_u X a_v X + X a_v X a_u X",
                "the derivative without the term -X a_uv X",
                (),
                lambda x, u, v: inverse_second(x, u, v) + inverse(product(x)) @ sides(v, u) @ inverse(product(x)),
            ),
        ),
    },
)


def solution(x: Any) -> Array:
    """``X b``."""
    return inverse(product(x[1])) @ x[0]


def solution_first(x: Any, u: Any) -> Array:
    """``X (u_b - a_u y)``."""
    return inverse(product(x[1])) @ (u[0] - sides(x[1], u[1]) @ solution(x))


def solution_second(x: Any, u: Any, v: Any) -> Array:
    """``-X (a_u y_v + a_v y_u + a_uv y)``."""
    l, (_, u_l), (_, v_l) = x[1], u, v
    crossed = sides(l, u_l) @ solution_first(x, v) + sides(l, v_l) @ solution_first(x, u)
    return -inverse(product(l)) @ (crossed + sides(v_l, u_l) @ solution(x))


def read_as_vectors(x: Any, u: Any) -> Array:
    """``X (u_b - z)`` with ``z[i, j] = a_u[j] y[i, j]``: the rows of a solution are multiplied one by one.

    It happens where b has the shape of a stack of vectors, (k, n) for l of shape (k, n, n), but is a matrix.
    """
    b, l = x
    if l.ndim != 3 or b.shape != l.shape[:-1]:
        raise NotApplicable("only a matrix of the shape of a stack of vectors can be read as one")
    a_u, y = sides(l, u[1]), solution(x)
    z = (a_u @ y[..., None])[..., 0]
    return inverse(product(l)) @ (u[0] - z)


CHOLESKY_SOLVE = Operator(
    name="cholesky_solve",
    formula="the solution y of l l^T y = b for b of shape (n, k) and a lower triangular l of shape (n, n), or for one"
    " b and a stack of such l, shape (m, n, n)",
    value=solution,
    first=solution_first,
    second=solution_second,
    shape=lambda b, l: (*l[:-2], *b),
    inputs=("b", "l"),
    directions="lower triangular in l",
    wrong={
        1: (
            Variant(
                "read-as-vectors",
                "X (u_b - z), z[i, j] = a_u[j] y[i, j]",
                "a derivative that takes a matrix b for a stack of vectors, where a stack of l has the same shape",
                PYTORCH_SOLVE,
                read_as_vectors,
            ),
            Variant(
                "one-term",
                "X (u_b - u_l l^T y)",
                "a derivative with one of the two terms of a_u",
                (),
                lambda x, u: inverse(product(x[1])) @ (u[0] - u[1] @ x[1].mT @ solution(x)),
            ),
        ),
        2: (
            Variant(
                "second-order-term-missing",
                "-X (a_u y_v + a_v y_u)",
                "the derivative without the term -X a_uv y",
                (),
                lambda x, u, v: solution_second(x, u, v) + inverse(product(x[1])) @ (sides(v[1], u[1]) @ solution(x)),
            ),
            Variant(
                "saved-factors",
                "-X (a_u y_v + a_uv y)",
                "the derivative of X (u_b - a_u y) with the factors in X held still",
                (),
                lambda x, u, v: (
                    -inverse(product(x[1]))
                    @ (sides(x[1], u[1]) @ solution_first(x, v) + sides(v[1], u[1]) @ solution(x))
                ),
            ),
        ),
    },
)
