"""Strategies of inputs and directions for the operators whose derivatives are judged.

What a rule gets wrong shows at particular inputs: a determinant at singular matrices of rank n - 1 and n - 2, a product
at zeros, a Cholesky solve with a stack of factors, a log-sum-exp with a prefix far below the maximum, a hyperbolic
tangent at tiny arguments. Each kind of problem reaches those of its operator by construction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from refgrad.strategies.matrices import ill_conditioned, spd, symmetric, unit_triangular
from refgrad.strategies.numbers import check_kind, entries, halves, integers, matrix, rough, vector

__all__ = ["operator_inputs"]

Draws = SearchStrategy[Any]
ORDERS = st.sampled_from((1, 2, 2, 3))
TINY = 2.0**-100
"""Small enough that its square vanishes beside 1 in every dtype, and a normal float32."""


def operator_inputs(name: str, order: int, kind: str = "crisp") -> Draws:
    """Inputs of the operator `name` with one direction u, or with two, u and v, as nested lists by name.

    Parameters
    ----------
    name : str
        As in `refgrad.contracts.operators.OPERATORS`.
    order : int
        1 or 2, the number of directions.
    kind : str
        ``"crisp"``: integers and halves, with singular matrices and zeros where the operator takes them. ``"rough"``:
        full mantissas. ``"ill_conditioned"``: eigenvalues and scales that are far apart. ``"degenerate"``: zero and
        tiny arguments, the identity, repeated elements.
    """
    return DOMAINS[name](check_kind(kind)).map(lambda drawn: inputs_by_name(drawn, order))


def inputs_by_name(drawn: dict[str, Any], order: int) -> dict[str, Any]:
    """``{"point": ..., "directions": [...]}`` as inputs by name; one direction for each order, and one is ``u``."""
    points, directions = drawn["point"], drawn["directions"][:order]
    found = dict(points)
    for letter, direction in zip("uv", directions, strict=False):
        for name, value in direction.items():
            found[letter if len(direction) == 1 else f"{letter}_{name}"] = value
    return found


@st.composite
def problem(draw: Any, point: Draws, direction: Callable[[dict[str, Any]], Draws]) -> dict[str, Any]:
    """A point, and two directions that suit it."""
    at = draw(point)
    return {"point": at, "directions": [draw(direction(at)) for _ in range(2)]}


def like(value: Any, numbers: SearchStrategy[float]) -> Draws:
    """Nested lists of the shape of `value`."""
    shape = np.shape(value)
    found: Draws = numbers
    for n in reversed(shape):
        found = vector(found, n)
    return found


def steps(kind: str) -> SearchStrategy[float]:
    """The elements of directions."""
    return rough() if kind == "rough" else integers()


def free(kind: str, point: Draws, *still: str) -> Draws:
    """Any directions of the shapes of what moves."""

    def direction(at: dict[str, Any]) -> Draws:
        return st.fixed_dictionaries({k: like(v, steps(kind)) for k, v in at.items() if k not in still})

    return problem(point, direction)


def one(point: Draws) -> Draws:
    """A single input, called x."""
    return point.map(lambda x: {"x": x})


def vectors(kind: str, least: int = 1, numbers: SearchStrategy[float] | None = None) -> Draws:
    """Vectors of `least` to 4 elements."""
    if numbers is None:
        numbers = rough() if kind == "rough" else halves()
    return st.integers(least, 4).flatmap(lambda n: vector(numbers, n))


def scale(values: Any, factor: float) -> Any:
    """Nested lists times a number."""
    return [scale(v, factor) for v in values] if isinstance(values, list) else values * factor


def real(kind: str) -> Draws:
    """Vectors for functions of a real number: moderate, large, or all of them tiny."""
    x = vectors(kind)
    if kind == "ill_conditioned":
        x = x.map(lambda values: scale(values, 4.0))
    if kind == "degenerate":
        x = st.tuples(vectors("crisp", numbers=integers()), st.sampled_from((TINY, 2.0**-12))).map(lambda p: scale(*p))
    return free(kind, one(x))


def positive(kind: str) -> Draws:
    """Vectors of positive numbers, far from each other where ill conditioned, and near 1 where degenerate."""
    numbers: SearchStrategy[float] = st.integers(1, 8).map(lambda k: k / 2)
    if kind == "rough":
        numbers = rough().map(lambda x: float(np.float32(2.25 + x)))
    elif kind == "ill_conditioned":
        numbers = st.sampled_from((1.0, 2.0**-20, 3.0, 2.0**20))
    elif kind == "degenerate":
        numbers = st.sampled_from((1.0, 1.0 + 2.0**-20, 1.0 - 2.0**-20))
    return free(kind, one(vectors(kind, numbers=numbers)))


@st.composite
def scales(draw: Any, kind: str) -> dict[str, Any]:
    """x and the exponents e of ``x 2^e``, some of them negative."""
    x = draw(vectors(kind))
    e = draw(vector(st.integers(-3, 3), len(x)))
    return {"x": scale(x, 0.0) if kind == "degenerate" else x, "e": e}


@st.composite
def factors(draw: Any, kind: str) -> list[float]:
    """Vectors of factors, among them one zero or two; nothing but zeros and ones where degenerate.

    Where ill conditioned there are no zeros and the factors differ by at most 16: beyond, rules that divide lose digits
    in proportion, and what they do at a zero could not be told from that.
    """
    numbers: SearchStrategy[float] = rough() if kind == "rough" else st.sampled_from((1.0, 2.0, -1.0, 3.0, 0.5, -2.0))
    if kind == "ill_conditioned":
        numbers = st.sampled_from((1.0, 0.25, 3.0, 4.0))
    x = list(draw(vectors(kind, 2, numbers)))
    for _ in range(draw(st.sampled_from({"crisp": (0, 1, 1, 2), "ill_conditioned": (0,)}.get(kind, (0, 1))))):
        x[draw(st.integers(0, len(x) - 1))] = 0.0
    return [float(v == 0) for v in x] if kind == "degenerate" else x


def nonzero(kind: str) -> Draws:
    """Vectors whose last element is not zero; all of them large or tiny where degenerate."""
    last: SearchStrategy[float] = st.sampled_from((1.0, -1.0, 2.0))
    x = st.builds(lambda a, b: [*a[:-1], b], vectors(kind), last)
    if kind == "ill_conditioned":
        x = x.map(lambda values: [v * 2.0**-10 for v in values[:-1]] + values[-1:])
    if kind == "degenerate":
        x = st.tuples(x, st.sampled_from((2.0**-30, 2.0**30))).map(lambda p: scale(*p))
    return free(kind, one(x))


def logits(kind: str) -> Draws:
    """Vectors of logits: of moderate size, far from each other, or all equal."""
    x = vectors(kind, 2)
    if kind == "ill_conditioned":
        x = x.map(lambda values: scale(values, 24.0))
    if kind == "degenerate":
        x = vectors(kind, 2, st.sampled_from((1.0,)))
    return free(kind, one(x))


def low_logits(kind: str) -> Draws:
    """Logits of which all but the last are at times far below it, where their exponentials are lost in the sum."""
    if kind != "crisp":
        return logits(kind)
    x, gaps = vectors(kind, 2), st.sampled_from((0.0, 0.0, 64.0))
    return free(kind, one(st.builds(lambda gap, values: [*(v - gap for v in values[:-1]), values[-1]], gaps, x)))


def any_matrix(kind: str) -> Draws:
    """Square matrices: any, of rank n - 1, of rank n - 2, the identity and zero."""
    lacks = [(n, lack) for n in (3, 2, 1) for lack in (0, 1, 0, 2) if lack <= n]
    return st.sampled_from(lacks[::-1]).flatmap(lambda pair: lack_of_rank(kind, *pair))


@st.composite
def lack_of_rank(draw: Any, kind: str, n: int, lack: int) -> list[list[float]]:
    """A square matrix of order `n` whose rows or columns depend on one another, from any place on, if it is crisp."""
    if kind == "ill_conditioned" and n > 1:
        return draw(ill_conditioned(n))
    if kind == "degenerate":
        return np.diag(draw(st.sampled_from((np.ones(n), np.zeros(n), np.eye(n)[0])))).tolist()
    rows = draw(matrix(entries(kind), n, n))
    first, by_rows = draw(st.integers(0, n - 1)), draw(st.booleans())
    for k in range(n - lack if kind == "crisp" else n, n):
        rows[(first + k) % n] = scale(rows[first], draw(integers())) if k else [0.0] * n
    return rows if by_rows else np.transpose(rows).tolist()


@st.composite
def invertible(draw: Any, kind: str, n: int) -> list[list[float]]:
    """``L U`` with unit triangular factors whose diagonal is then scaled; the identity where degenerate."""
    if kind == "ill_conditioned" and n > 1:
        return draw(ill_conditioned(n))
    if kind == "degenerate":
        return np.eye(n).tolist()
    numbers = rough(1, 4) if kind == "rough" else integers(1)
    lower, upper = (np.array(draw(unit_triangular(n, numbers))) for _ in range(2))
    diagonal = draw(vector(st.sampled_from((1.0, 2.0, -1.0)), n))
    return ((lower * diagonal) @ upper.T).tolist()


@st.composite
def definite(draw: Any, kind: str) -> list[list[float]]:
    """Positive definite matrices; the identity where degenerate."""
    n = draw(ORDERS)
    if kind == "ill_conditioned" and n > 1:
        return draw(ill_conditioned(n))
    return np.eye(n).tolist() if kind == "degenerate" else draw(spd(n, kind))


@st.composite
def lower(draw: Any, kind: str, n: int) -> list[list[float]]:
    """Lower triangular matrices with a positive diagonal."""
    numbers = rough(2) if kind == "rough" else integers()
    diagonal = st.sampled_from((1.0, 2.0, 3.0))
    if kind == "ill_conditioned":
        diagonal = st.sampled_from((1.0, 2.0**-6, 2.0**6))
    if kind == "degenerate":
        return np.eye(n).tolist()
    return [[*draw(vector(numbers, i)), draw(diagonal), *[0.0] * (n - 1 - i)] for i in range(n)]


def triangle(value: Any, kind: str) -> Draws:
    """Lower triangular directions of the shape of `value`, a matrix or a stack of them."""
    if np.ndim(value) == 3:
        return st.tuples(*(triangle(part, kind) for part in value)).map(list)
    return like(value, steps(kind)).map(lambda rows: np.tril(rows).tolist())


@st.composite
def systems(draw: Any, kind: str) -> dict[str, Any]:
    """a and b of ``a y = b``."""
    n = draw(ORDERS)
    return {"a": draw(invertible(kind, n)), "b": draw(matrix(entries(kind), n, draw(st.sampled_from((1, 2)))))}


@st.composite
def triangular_systems(draw: Any, kind: str) -> dict[str, Any]:
    """b and l of ``l l^T y = b``, with one l or with a stack of two; then b has the shape of two vectors, (2, 2)."""
    stacked = draw(st.booleans())
    n = 2 if stacked else draw(ORDERS)
    b = draw(matrix(entries(kind), n, 2 if stacked else draw(st.sampled_from((1, 2)))))
    return {"b": b, "l": [draw(lower(kind, n)) for _ in range(2)] if stacked else draw(lower(kind, n))}


@st.composite
def products(draw: Any, kind: str) -> dict[str, Any]:
    """a and b of ``a b``, of shapes (m, n) and (n, k)."""
    m, n, k = (draw(st.integers(1, 3)) for _ in range(3))
    a, b = draw(matrix(entries(kind), m, n)), draw(matrix(entries(kind), n, k))
    if kind == "degenerate":
        return {"a": scale(a, 0.0), "b": b}
    return {"a": scale(a, 2.0**12) if kind == "ill_conditioned" else a, "b": b}


def batches(kind: str) -> Draws:
    """Matrices of several rows and columns; nearly constant, or constant where degenerate."""
    x = matrix(rough() if kind == "rough" else integers(), 3, 2)
    x = st.one_of(x, x.map(lambda rows: np.transpose(rows).tolist()))
    if kind == "ill_conditioned":
        x = x.map(lambda rows: [[256.0 + v for v in row] for row in rows])
    if kind == "degenerate":
        x = x.map(lambda rows: scale(np.ones_like(rows).tolist(), rows[0][0]))
    return free(kind, one(x))


def symmetric_direction(kind: str) -> Callable[[dict[str, Any]], Draws]:
    """Symmetric directions for a matrix x."""
    return lambda at: st.fixed_dictionaries({"x": symmetric(len(at["x"]), steps(kind))})


def triangular_direction(kind: str) -> Callable[[dict[str, Any]], Draws]:
    """Directions that are lower triangular in the factor, which is the last input."""

    def direction(at: dict[str, Any]) -> Draws:
        *others, last = at
        parts = {k: like(at[k], steps(kind)) for k in others} | {last: triangle(at[last], kind)}
        return st.fixed_dictionaries(parts)

    return direction


DOMAINS: dict[str, Callable[[str], Draws]] = {
    **dict.fromkeys(("tanh", "exp"), real),
    **dict.fromkeys(("log", "sqrt"), positive),
    "ldexp": lambda kind: free(kind, scales(kind), "e"),
    **dict.fromkeys(("prod", "cumprod"), lambda kind: free(kind, one(factors(kind)))),
    "norm": nonzero,
    **dict.fromkeys(("logsumexp", "softmax", "log_softmax"), logits),
    "logcumsumexp": low_logits,
    "matmul": lambda kind: free(kind, products(kind)),
    "det": lambda kind: free(kind, one(any_matrix(kind))),
    "inv": lambda kind: free(kind, one(ORDERS.flatmap(lambda n: invertible(kind, n)))),
    "solve": lambda kind: free(kind, systems(kind)),
    **dict.fromkeys(("logdet", "cholesky"), lambda kind: problem(one(definite(kind)), symmetric_direction(kind))),
    "cholesky_inverse": lambda kind: problem(one(ORDERS.flatmap(lambda n: lower(kind, n))), triangular_direction(kind)),
    "cholesky_solve": lambda kind: problem(triangular_systems(kind), triangular_direction(kind)),
    **dict.fromkeys(("layer_norm", "batch_norm"), batches),
}
"""For each operator a function of the kind of problem."""
