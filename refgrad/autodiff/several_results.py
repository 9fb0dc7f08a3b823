"""Graph nodes for functions with several results, each with one rule for the whole of it.

A primitive has one result. What has several is two kinds of node: the call, whose value is the list of the results,
and a part for each of them. The cotangent of the call is a list with one entry for each result.

Arguments and results are leaves; those that are not real numbers (labels, flags, strings) have no derivative, and where
a list of tangents or cotangents runs parallel to the leaves, None stands in their places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from refgrad.autodiff.arguments import is_real
from refgrad.autodiff.core import Trace, Tracer, primal
from refgrad.autodiff.moment import keep
from refgrad.autodiff.primitive import zeros_like
from refgrad.autodiff.reverse import ReverseTrace, ReverseTracer
from refgrad.errors import NoDerivative

__all__ = ["Call", "check_captured", "fill", "has_derivative", "highest", "levels_under", "record_call"]

Rule = Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], list[Any]]
"""From the results, the arguments, and tangents of these or cotangents of those, to the others."""


def has_derivative(leaf: Any) -> bool:
    """Whether a leaf, traced or not, is of real numbers."""
    return is_real(primal(leaf))


def highest(leaves: Sequence[Any]) -> Trace | None:
    """The trace of the highest level among traced leaves, which must not have ended; None if no leaf is traced."""
    top = max((a.owner for a in leaves if isinstance(a, Tracer)), key=lambda trace: trace.level, default=None)
    if top is not None and not top.alive:
        raise top.escape_error()
    return top


def levels_under(leaves: Iterable[Any]) -> set[int]:
    """The levels of every trace that has a part in the values of the leaves."""
    levels, pending = set(), list(leaves)
    while pending:
        a = pending.pop()
        if isinstance(a, Tracer):
            levels.add(a.owner.level)
            pending.append(a.value)
    return levels


def check_captured(found: Iterable[Any], given: Iterable[Any], what: str) -> None:
    """Raise if `found`, what was computed from `given`, is traced by a level that no part of `given` is traced by."""
    if not levels_under(found) <= levels_under(given):
        raise NoDerivative(
            f"{what}: it uses a traced value that is not among its arguments, and its derivative would be lost; make "
            "that value a positional argument of the function."
        )


def fill(vectors: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """`vectors` with zeros for None, where the leaf has a derivative."""
    return [
        zeros_like(leaf) if v is None and has_derivative(leaf) else v for v, leaf in zip(vectors, leaves, strict=True)
    ]


class Call:
    """What a call is in the graph: a primitive with rules, whose value is a list of arrays.

    Parameters
    ----------
    name : str
    push : callable
        ``push(ys, xs, ts)``: the tangents of the results, from those of the arguments.
    pull : callable
        ``pull(ys, xs, us)``: the cotangents of the arguments, from those of the results.
    """

    def __init__(self, name: str, push: Rule, pull: Rule) -> None:
        self.name, self.push, self.pull = name, push, pull
        self.last: tuple[Any, list[Any]] = (None, [])

    def vjp(self, i: int, g: Parts, ys: list[Any], *xs: Any) -> Any:
        """The cotangent of argument i; the rule runs once, though it is asked for each argument in turn."""
        last = self.last  # another thread may pull through the same graph
        if last[0] is not g:
            last = self.last = (g, self.pull(ys, xs, fill(g, ys)))
        return last[1][i]

    def jvp(self, ys: list[Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        """The tangents of all results."""
        return self.push(ys, xs, fill(ts, xs))


class Parts(list):
    """One cotangent for each result of a call, None for zero; each comes from one part, so that none are added."""

    def __add__(self, other: Any) -> Parts:  # type: ignore[override]
        return Parts(b if a is None else a for a, b in zip(self, other, strict=True))


class Part:
    """The k-th result of a call."""

    name = "part"

    def __init__(self, k: int, count: int) -> None:
        self.k, self.count = k, count

    def vjp(self, i: int, g: Any, y: Any, ys: list[Any]) -> Parts:
        """The cotangent of the call."""
        return Parts(g if j == self.k else None for j in range(self.count))

    def jvp(self, y: Any, xs: Sequence[Any], ts: Sequence[Any]) -> Any:
        """The tangent of this result."""
        return ts[0][self.k]


def record_call(
    top: ReverseTrace, call: Call, leaves: Sequence[Any], values: Sequence[Any], ys: Sequence[Any]
) -> list[Any]:
    """`ys`, the results of a call with `leaves`, as values that `top` traces; those without a derivative as they are.

    `values` are the leaves one level down.
    """
    parents = [(i, a) for i, a in enumerate(leaves) if isinstance(a, ReverseTracer) and a.owner is top]
    values, ys = ([keep(v, call.name, top.uses) for v in each] for each in (values, ys))
    node = ReverseTracer(top, ys, call, parents, values)  # type: ignore[arg-type]
    if top.watch is not None:
        top.watch.record(node)
    return [
        ReverseTracer(top, y, Part(k, len(ys)), [(0, node)], [ys]) if has_derivative(y) else y  # type: ignore[arg-type]
        for k, y in enumerate(ys)
    ]
