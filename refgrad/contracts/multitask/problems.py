"""Strategies of task gradients: matrices whose rows are the gradients of K tasks."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from refgrad.strategies.numbers import entries, integers, matrix, rough, vector

__all__ = ["task_gradients"]

Rows = list[list[float]]
SHAPES = ((2, 1), (2, 2), (2, 3), (3, 2), (3, 4), (4, 4))
"""(K, n), the simplest first."""


@st.composite
def task_gradients(draw: Any, kind: str = "crisp") -> dict[str, Any]:
    """The input ``J`` of the contracts on min-norm weights, as nested lists of shape (K, n).

    Parameters
    ----------
    kind : str
        ``"crisp"``: integers and quarters; in some problems the optimum is known to be a vertex, in some the
        gradients cancel one another but for a common part, so that all have weight, in some there are two such
        gradients at a scale of 2^-16. ``"rough"``: the same with full mantissas. ``"ill_conditioned"``: gradients
        that differ from one another by a thousandth, or whose norms differ by powers of 32. ``"degenerate"``: one
        task; rows that are zero, equal, multiples of one another or opposite.
    """
    K, n = draw(st.sampled_from(SHAPES))
    structure = draw(st.sampled_from(("any", "vertex", "vertex", "conflict", "conflict", "small pair")))
    # integers would often put an ill-conditioned optimum at the very edge of a face
    J: Rows = draw(matrix(rough(2, 53) if kind in ("rough", "ill_conditioned") else entries(kind, 3), K, n))
    if kind == "degenerate":
        return {"J": draw(st.sampled_from((single, with_zero, repeat_first_row, opposite, proportional)))(J)}
    if kind == "ill_conditioned":
        change = draw(st.sampled_from((nearly_parallel, disparate)))
        return {"J": change(J, draw(vector(integers(3), n)))}
    if structure == "vertex":
        J = with_vertex(J, draw(st.integers(0, K - 1)))
    elif structure == "conflict":
        J = in_conflict(J, draw(vector(st.integers(1, 2), K)))
    elif structure == "small pair":
        J = small_pair(J)
    return {"J": J}


def with_vertex(J: Rows, place: int) -> Rows:
    """Rows whose products with the first are no less than its squared norm; the first moves to `place`.

    Where the first row a is not zero, an entry b of another row becomes ``a + |b| sign(a)``.
    """
    first, others = J[0], []
    for row in J[1:]:
        others.append([a + math.copysign(abs(b), a) if a else b for a, b in zip(first, row, strict=True)])
    return [*others[:place], first, *others[place:]]


def in_conflict(J: Rows, multiples: list[int]) -> Rows:
    """A first column that is nearly constant, and a last row that is else minus a combination of the others."""
    common = J[0][0]
    rows = [[common + abs(row[0]) / 4, *row[1:]] for row in J]
    for column in range(1, len(J[0])):
        total = sum(m * row[column] for m, row in zip(multiples, rows[:-1], strict=False))
        rows[-1][column] = -total
    return rows


def small_pair(J: Rows) -> Rows:
    """Two rows in conflict, so small that an epsilon in a denominator is seen in float32, too."""
    pairs = list(zip(*J[:2], strict=True))
    rows = [[math.copysign(1 + abs(x), x) for x, _ in pairs], [-math.copysign(1 + abs(y), x) for x, y in pairs]]
    if len(pairs) > 1:  # else they cancel one another
        rows[0][0] = rows[1][0] = pairs[0][0]
    return [[entry * 2.0**-16 for entry in row] for row in rows]


def single(J: Rows) -> Rows:
    """The first row alone."""
    return J[:1]


def with_zero(J: Rows) -> Rows:
    """The first row replaced by zeros."""
    return [[0.0] * len(J[0]), *J[1:]]


def repeat_first_row(J: Rows) -> Rows:
    """The last row replaced by the first."""
    return [*J[:-1], J[0]]


def opposite(J: Rows) -> Rows:
    """The last row replaced by minus twice the first: the optimum is 0."""
    return [*J[:-1], [-2.0 * entry for entry in J[0]]]


def proportional(J: Rows) -> Rows:
    """The last row replaced by four times the first."""
    return [*J[:-1], [4.0 * entry for entry in J[0]]]


def nearly_parallel(J: Rows, centre: list[float]) -> Rows:
    """All rows within a thousandth of one vector."""
    return [[c * 4 + entry / 1024 for c, entry in zip(centre, row, strict=True)] for row in J]


def disparate(J: Rows, centre: list[float]) -> Rows:
    """Row k multiplied by 32^k."""
    return [[entry * 32.0**k for entry in row] for k, row in enumerate(J)]
