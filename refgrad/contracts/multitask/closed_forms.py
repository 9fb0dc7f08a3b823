"""Min-norm weights in closed form, where there is one.

The problem is that of `min_norm`: minimise ``|J^T a|^2`` over ``a >= 0, sum a = 1``, with rows g_k of J.

    K = 2              ``a = (t, 1 - t)`` with t = -<g_2, d> / |d|^2 clipped to [0, 1], d = g_1 - g_2
    parallel           the shortest gradient alone
    antiparallel       ``a = (|g_2|, |g_1|) / (|g_1| + |g_2|)``, and the direction vanishes
    orthogonal         a_k proportional to ``1 / |g_k|^2``, and ``1 / |v|^2 = sum_k 1 / |g_k|^2``
    equal angles       ``a_k = 1 / K`` where all norms and all pairwise products are equal

Each function checks its hypothesis and raises `NotApplicable` where it does not hold. In exact arithmetic that check is
a decision; balls that cannot tell raise `Undecided`. The magnitude of every weight is 1, as in `min_norm`.

References
----------
Desideri 2012, Multiple-gradient descent algorithm, for two gradients; Sener and Koltun 2018, arXiv 1810.04650,
algorithm 1, whose Gram form ``(c - b) / (a + c - 2 b)`` is that of the first line with d multiplied out.
"""

from __future__ import annotations

from collections.abc import Callable

from refgrad.backend import of
from refgrad.contracts.multitask.methods import inverse_squared_norm, uniform
from refgrad.contracts.multitask.min_norm import embed
from refgrad.contracts.tools.answer import Answer, NotApplicable
from refgrad.typing import Array, Scalar

__all__ = ["antiparallel", "equal_angles", "orthogonal", "parallel", "two_tasks"]


def two_tasks(J: Array) -> Answer:
    """The weights of two gradients, shape (2,): where the height of their triangle meets the opposite side.

    They are computed from the difference ``d = g_1 - g_2``. The same quotient of Gram entries cancels where the
    gradients are nearly parallel: in float64 it is 0/0 for (1, 1e-9) and (1, -3e-9).

    Parameters
    ----------
    J : array, shape (2, n)
        Of two equal rows, the first gets all weight; any other choice is as good.

    Raises
    ------
    NotApplicable
        If there are not two rows.
    """
    first, second = pair(J)
    d = first - second
    zero = 0 * (d @ d)
    if first @ d <= 0:  # |g_1|^2 <= <g_1, g_2>: the angle at g_1 is not acute
        return pair_answer(J, [zero + 1, zero])
    if second @ d >= 0:
        return pair_answer(J, [zero, zero + 1])
    return pair_answer(J, [-(second @ d) / (d @ d), first @ d / (d @ d)])


def parallel(J: Array) -> Answer:
    """All weight on the shortest of gradients that point the same way, shape (K,); on the first of several.

    Parameters
    ----------
    J : array, shape (K, n)

    Raises
    ------
    NotApplicable
        If two rows are not positive multiples of one another; a row of zeros is none.
    """
    G = J @ J.T
    require(
        all_pairs(G, lambda i, j: G[i, j] > 0 and G[i, j] * G[i, j] == G[i, i] * G[j, j]),
        "a row is not a positive multiple of another",
    )
    shortest = int(of(J).argmax(-of(J).sum(J * J, (1,), False), 0))
    return Answer(embed(G, [shortest], [0 * G[0, 0] + 1]), of(G).ones_like(G[0]))


def antiparallel(J: Array) -> Answer:
    """``(|g_2|, |g_1|) / (|g_1| + |g_2|)``, shape (2,), for gradients that point opposite ways.

    With ``g_2 = -s g_1`` these are ``(s, 1) / (1 + s)``, with no root.

    Parameters
    ----------
    J : array, shape (2, n)

    Raises
    ------
    NotApplicable
        If there are not two rows, or one is not a negative multiple of the other.
    """
    first, second = pair(J)
    product, square = first @ second, first @ first
    require(product < 0 and product * product == square * (second @ second), "the two rows are not antiparallel")
    s = -product / square
    return pair_answer(J, [s / (1 + s), 1 / (1 + s)])


def orthogonal(J: Array) -> Answer:
    """Weights proportional to ``1 / |g_k|^2``, shape (K,), for gradients that are orthogonal to one another.

    Parameters
    ----------
    J : array, shape (K, n)

    Raises
    ------
    NotApplicable
        If two rows are not orthogonal, or one is zero.
    """
    G = J @ J.T
    require(all_pairs(G, lambda i, j: G[i, j] == 0), "two rows are not orthogonal")
    return Answer(inverse_squared_norm(J), of(G).ones_like(G[0]))


def equal_angles(J: Array) -> Answer:
    """``1 / K`` each, shape (K,), for gradients of one norm with one angle between any two.

    By symmetry ``<g_k, v> = (|g|^2 + (K - 1) <g_1, g_2>) / K`` is the same for every k. Where the rows are dependent
    other weights can be as good: all rows equal, say.

    Parameters
    ----------
    J : array, shape (K, n)

    Raises
    ------
    NotApplicable
        If two norms or two pairwise products differ.
    """
    G = J @ J.T
    require(
        all_pairs(G, lambda i, j: G[j, j] == G[0, 0] and G[i, j] == G[0, 1]),
        "norms or pairwise products differ",
    )
    return Answer(uniform(J), of(G).ones_like(G[0]))


def require(holds: bool, otherwise: str) -> None:
    """Nothing, if a hypothesis holds; else `NotApplicable`."""
    if not holds:
        raise NotApplicable(f"no closed form: {otherwise}")


def pair(J: Array) -> tuple[Array, Array]:
    """The two rows of `J`."""
    require(len(J) == 2, f"expected two rows, got {len(J)}")
    return J[0], J[1]


def all_pairs(G: Array, holds: Callable[[int, int], bool]) -> bool:
    """Whether something holds of every two rows ``i < j``."""
    return all(holds(i, j) for j in range(len(G)) for i in range(j))


def pair_answer(J: Array, weights: list[Scalar]) -> Answer:
    """Two weights, at the scale 1."""
    found = embed(J @ J.T, (0, 1), weights)
    return Answer(found, of(J).ones_like(found))
