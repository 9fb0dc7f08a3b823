"""Products and the Euclidean norm.

Products follow from the product rule, one factor at a time: with ``p <- p x_k`` go

    p_u <- p_u x_k + p u_k,      p_uv <- p_uv x_k + p_u v_k + p_v u_k,

which divides by nothing, so that factors may be zero. For the norm ``n = |x|``,

    D n[u] = x.u / n,            D^2 n[u, v] = u.v / n - (x.u)(x.v) / n^3.
"""

from __future__ import annotations

from refgrad.backend import of
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.contracts.tools.assemble import vector
from refgrad.contracts.tools.solve import may_vanish
from refgrad.typing import Array

__all__ = ["CUMPROD", "NORM", "PROD"]

Row = tuple[Array, Array, Array, Array]


def running(x: Array, u: Array, v: Array) -> list[Row]:
    """For each prefix of a vector the product, its derivatives along u and along v, and its second derivative."""
    rows = []
    p, zero = 0 * x[0] + 1, 0 * x[0]
    p_u = p_v = p_uv = zero
    for k in range(len(x)):
        p_uv = p_uv * x[k] + p_u * v[k] + p_v * u[k]
        p_u, p_v, p = p_u * x[k] + p * u[k], p_v * x[k] + p * v[k], p * x[k]
        rows.append((p, p_u, p_v, p_uv))
    return rows


def zeros(x: Array) -> list[int]:
    """The places of the elements that are zero."""
    return [k for k in range(len(x)) if may_vanish(x[k])]


def quotient(x: Array, u: Array, v: Array) -> Array:
    """``p sum_i u_i / x_i sum_j v_j / x_j``: the quotients are held still."""
    if zeros(x):
        raise NotApplicable("it divides by a factor that is zero")
    return running(x, u, v)[-1][0] * (u / x).sum() * (v / x).sum()


def first_zero_frozen(x: Array, u: Array, v: Array) -> Array:
    """From the first zero on, its own direction times the derivative along v of the other factors.

    The rule puts u_z in the place of the first zero x_z and takes products. Differentiated once more along v, it has
    ``u_z v_j`` for every other factor j and not ``u_j v_z``.
    """
    found = zeros(x)
    parts = [row[3] for row in running(x, u, v)]
    if found:
        first = found[0]
        rows = running(with_element(x, first, u[first]), 0 * u, with_element(v, first, 0 * v[first]))
        for k in range(first, len(x)):
            parts[k] = rows[k][2]
    return vector(parts)


def with_element(x: Array, place: int, element: Array) -> Array:
    """A vector with one element replaced."""
    return of(x).concat([x[:place], element[None], x[place + 1 :]], 0)


def one_order(x: Array, u: Array, v: Array) -> list[Array]:
    """For each prefix the sum over i < j of ``u_i v_j`` times the other factors."""
    p, zero = 0 * x[0] + 1, 0 * x[0]
    p_u = p_uv = zero
    found = []
    for k in range(len(x)):
        p_uv = p_uv * x[k] + p_u * v[k]
        p_u, p = p_u * x[k] + p * u[k], p * x[k]
        found.append(p_uv)
    return found


def transposed_cumprod(x: Array, u: Array) -> Array:
    """The derivative transposed: ``sum_{k >= i} u_k prod_{j <= k, j != i} x_j``."""
    units = [with_element(0 * x, i, 0 * x[i] + 1) for i in range(len(x))]
    return vector([sum((running(x, e, e)[k][1] * u[k] for k in range(len(x))), 0 * x[0]) for e in units])


ONE_TERM = "one of the two cross terms: of u_i v_j and u_j v_i only the one with i < j"

PROD = Operator(
    name="prod",
    formula="the product of the elements of a vector x",
    value=lambda x: running(x, x, x)[-1][0],
    first=lambda x, u: running(x, u, u)[-1][1],
    second=lambda x, u, v: running(x, u, v)[-1][3],
    shape=lambda x: (),
    wrong={
        1: (Variant("sum-of-directions", "sum_i u_i", "the sum of the directions", (), lambda x, u: u.sum()),),
        2: (
            Variant(
                "quotient-saved",
                "p (sum_i u_i / x_i) (sum_j v_j / x_j)",
                "the derivative of p sum_i u_i / x_i with the quotients held still",
                (),
                quotient,
            ),
            Variant(
                "one-cross-term",
                "sum_{i<j} u_i v_j prod_{k != i, j} x_k",
                ONE_TERM,
                (),
                lambda x, u, v: one_order(x, u, v)[-1],
            ),
        ),
    },
)

CUMPROD = Operator(
    name="cumprod",
    formula="the products of the first 1, 2, ..., n elements of a vector x of shape (n,)",
    value=lambda x: vector([row[0] for row in running(x, x, x)]),
    first=lambda x, u: vector([row[1] for row in running(x, u, u)]),
    second=lambda x, u, v: vector([row[3] for row in running(x, u, v)]),
    shape=lambda x: x,
    wrong={
        1: (
            Variant(
                "transposed",
                "sum_{k >= i} u_k prod_{j <= k, j != i} x_j",
                "the transposed derivative, what a vjp computes",
                (),
                transposed_cumprod,
            ),
        ),
        2: (
            Variant(
                "first-zero-frozen",
                "from the first zero x_z on: u_z sum_j v_j prod_{k != j, z} x_k",
                "one of the two cross terms with the first zero; right where no factor is zero",
                ("https://github.com/pytorch/pytorch/issues/196701",),
                first_zero_frozen,
            ),
            Variant(
                "one-cross-term",
                "sum_{i<j} u_i v_j prod_{k != i, j} x_k",
                ONE_TERM,
                (),
                lambda x, u, v: vector(one_order(x, u, v)),
            ),
        ),
    },
)


def length(x: Array) -> Array:
    """The Euclidean norm; the largest element is divided by first for the sake of floats."""
    largest = of(x).amax(abs(x), (0,), False)
    return largest * of(x).sqrt((x / largest) @ (x / largest))


def second_of_norm(x: Array, u: Array, v: Array) -> Array:
    """``u.v / n - (x.u)(x.v) / n^3``."""
    n = length(x)
    return (u @ v - (x / n) @ u * ((x / n) @ v)) / n


NORM = Operator(
    name="norm",
    formula="the Euclidean norm of a vector x that is not zero",
    value=length,
    first=lambda x, u: (x / length(x)) @ u,
    second=second_of_norm,
    shape=lambda x: (),
    wrong={
        1: (
            Variant("squared-norm", "2 x.u", "the derivative of the squared norm", (), lambda x, u: 2 * x @ u),
            Variant("undivided", "x.u", "the derivative of half the squared norm", (), lambda x, u: x @ u),
        ),
        2: (
            Variant(
                "saved-norm",
                "u.v / n",
                "the derivative of x.u / n with the norm n held still",
                (),
                lambda x, u, v: u @ v / length(x),
            ),
            Variant(
                "direction-saved",
                "-(x.u)(x.v) / n^3",
                "the derivative of x.u / n with x held still in the numerator",
                (),
                lambda x, u, v: second_of_norm(x, u, v) - u @ v / length(x),
            ),
        ),
    },
)
