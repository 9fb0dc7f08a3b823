"""Reverse mode that keeps the arguments of a function and computes its inside again when it is needed.

A chain of k steps keeps k intermediate results. Cut into segments of sqrt(k) steps, each under `checkpoint`, it keeps
the beginnings of the segments and the inside of one: of the order of sqrt(k), for one more evaluation [griewank1992]_.

References
----------
.. [griewank1992] A. Griewank, Achieving logarithmic growth of temporal and spatial complexity in reverse automatic
   differentiation, Optimization Methods and Software 1 (1992); with one level of segments, its first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.batch import BatchTrace, BatchTracer, vmap
from refgrad.autodiff.forward import ForwardTrace, ForwardTracer, jvp
from refgrad.autodiff.primitive import zeros_like
from refgrad.autodiff.reverse import ReverseTracer, vjp
from refgrad.autodiff.trace import Trace, Tracer
from refgrad.errors import NoDerivative
from refgrad.tree import flatten
from refgrad.typing import Array, Tree

__all__ = ["checkpoint"]

OnLeaves = Callable[..., list[Array]]
"""A function of arrays that returns a list of arrays."""


def checkpoint(f: Callable[..., Tree]) -> Callable[..., Tree]:
    """The function that computes what f computes, and computes it again for the derivative instead of keeping it.

    Derivatives are those of f, to any order, and inside `vmap`. What is to be differentiated by must be an argument: a
    traced value that f takes from outside is an error.

    Parameters
    ----------
    f : callable
        Without side effects: it runs once for the value and once more for each sweep back.

    Raises
    ------
    NoDerivative
        If f uses a traced value that is not among its arguments.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import checkpoint, grad
    >>> f = lambda x: np.sum(np.tanh(x) ** 2)
    >>> x = np.array([0.5, -1.0])
    >>> bool((grad(checkpoint(f))(x) == grad(f)(x)).all())
    True
    """

    @wraps(f)
    def checkpointed(*args: Tree, **kwargs: Any) -> Tree:
        leaves, structure = flatten(args)
        shape_of_result: list[Any] = []

        def on_leaves(*xs: Array) -> list[Array]:
            found, result_structure = flatten(f(*structure.unflatten(xs), **kwargs))
            shape_of_result[:] = [result_structure]
            return found

        on_leaves.__qualname__ = f"checkpoint({name_of(f)})"
        found = _recomputed(on_leaves, leaves)
        return shape_of_result[0].unflatten(found)

    return checkpointed


def _recomputed(f: OnLeaves, leaves: Sequence[Any]) -> list[Any]:
    """``f(*leaves)``, of whose inside the highest level among the leaves keeps nothing."""
    top = max((a.owner for a in leaves if isinstance(a, Tracer)), key=lambda trace: trace.level, default=None)
    if top is None:
        return f(*leaves)
    if not top.alive:
        raise top.escaped()
    mine = [isinstance(a, Tracer) and a.owner is top for a in leaves]
    values = [a.value if m else a for a, m in zip(leaves, mine, strict=True)]
    if isinstance(top, ForwardTrace):
        tangents = [a.tangent for a, m in zip(leaves, mine, strict=True) if m]
        both = _recomputed(_with_tangents(f, mine), [*values, *tangents])
        _check_closure(f, both, top)
        ys, ts = both[: len(both) // 2], both[len(both) // 2 :]
        return [ForwardTracer(top, y, t) for y, t in zip(ys, ts, strict=True)]
    if isinstance(top, BatchTrace):
        axes = tuple(0 if m else None for m in mine)
        stacked = _recomputed(vmap(f, in_axes=axes), values)
        _check_closure(f, stacked, top)
        return [BatchTracer(top, y) for y in stacked]
    ys = _recomputed(f, values)
    _check_closure(f, ys, top)
    parents = [(i, a) for i, (a, m) in enumerate(zip(leaves, mine, strict=True)) if m]
    call = ReverseTracer(top, ys, _Call(f, mine), parents, values)  # type: ignore[arg-type]
    return [ReverseTracer(top, y, _Part(k, len(ys)), [(0, call)], [ys]) for k, y in enumerate(ys)]  # type: ignore[arg-type]


def _with_tangents(f: OnLeaves, mine: Sequence[bool]) -> OnLeaves:
    """f and its derivative, as a function of the leaves and the tangents of those that have one."""

    def both(*given: Any) -> list[Any]:
        of_moving, moving = _of_moving(f, mine, given)
        ys, ts = jvp(of_moving, moving, tuple(given[len(mine) :]))
        return [*ys, *ts]

    both.__qualname__ = f.__qualname__
    return both


def _of_moving(f: OnLeaves, mine: Sequence[bool], given: Sequence[Any]) -> tuple[OnLeaves, tuple[Any, ...]]:
    """f as a function of those leaves that are differentiated by, and their values; labels and indices are not."""
    values = given[: len(mine)]

    def of_moving(*xs: Any) -> list[Any]:
        it = iter(xs)
        return f(*(next(it) if m else v for v, m in zip(values, mine, strict=True)))

    of_moving.__qualname__ = f.__qualname__
    return of_moving, tuple(v for v, m in zip(values, mine, strict=True) if m)


def _check_closure(f: OnLeaves, ys: Sequence[Any], top: Trace) -> None:
    # all that f was given is of a lower level than `top`
    if any(isinstance(y, Tracer) and y.owner.level >= top.level for y in ys):
        raise NoDerivative(
            f"{f.__qualname__}: the function uses a traced value that is not among its arguments, and its derivative "
            "would be lost; pass that value as an argument."
        )


class _Parts(list):
    """One cotangent for each result of a call, None for zero; each comes from one part, so that none are added."""

    def __add__(self, other: Any) -> _Parts:  # type: ignore[override]
        return _Parts(b if a is None else a for a, b in zip(self, other, strict=True))


class _Call:
    """What a call under `checkpoint` is in the graph: a primitive with rules, whose value is a list of arrays."""

    name = "checkpoint"

    def __init__(self, f: OnLeaves, mine: Sequence[bool]) -> None:
        self.f, self.mine = f, mine
        self.last: tuple[Any, list[Any]] = (None, [])

    def vjp(self, i: int, g: _Parts, ys: list[Any], *xs: Any) -> Any:
        if self.last[0] is not g:  # asked for each argument in turn
            cotangent = [zeros_like(y) if part is None else part for y, part in zip(ys, g, strict=True)]
            self.last = (g, _recomputed(self.back, [*xs, *cotangent]))  # nor do the levels below keep anything
        return self.last[1][sum(self.mine[:i])]

    def back(self, *given: Any) -> list[Any]:
        """The cotangents of the arguments differentiated by, from all arguments and the cotangents of the results."""
        of_moving, moving = _of_moving(self.f, self.mine, given)
        return list(vjp(of_moving, *moving)[1](list(given[len(self.mine) :])))

    def jvp(self, ys: list[Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        of_moving, moving = _of_moving(self.f, self.mine, xs)
        moved = (t for t, m in zip(ts, self.mine, strict=True) if m)
        tangents = tuple(zeros_like(x) if t is None else t for x, t in zip(moving, moved, strict=True))
        return jvp(of_moving, moving, tangents)[1]  # type: ignore[no-any-return]


class _Part:
    """The k-th result of a call."""

    name = "part"

    def __init__(self, k: int, count: int) -> None:
        self.k, self.count = k, count

    def vjp(self, i: int, g: Any, y: Any, ys: list[Any]) -> _Parts:
        return _Parts(g if j == self.k else None for j in range(self.count))

    def jvp(self, y: Any, xs: Sequence[Any], ts: Sequence[Any]) -> Any:
        return ts[0][self.k]
