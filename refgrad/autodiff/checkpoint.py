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
from typing import Any

from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.batch import BatchTrace, BatchTracer, vmap
from refgrad.autodiff.core import Trace, Tracer
from refgrad.autodiff.forward import ForwardTrace, ForwardTracer, jvp
from refgrad.autodiff.hidden_state import check_same, examine
from refgrad.autodiff.record import RecordTrace
from refgrad.autodiff.reverse import ReverseTrace, vjp_at
from refgrad.autodiff.several_results import Call, has_derivative, highest, record_call
from refgrad.autodiff.transform import Transform
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
    HiddenState
        If f draws random numbers, or has other results when it is run again.
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
    return Transform(_checkpoint, f)


def _checkpoint(f: Callable[..., Tree], /, *args: Tree, **kwargs: Any) -> Tree:
    leaves, structure = flatten(args)
    shape_of_result: list[Any] = []

    def on_leaves(*xs: Array) -> list[Array]:
        found, result_structure = flatten(f(*structure.unflatten(xs), **kwargs))
        shape_of_result[:] = [result_structure]
        return found

    on_leaves.__qualname__ = f"checkpoint({name_of(f)})"
    if highest(leaves) is None:  # it will not run again
        found = on_leaves(*leaves)
    else:
        found = examine(lambda: _recompute(on_leaves, leaves), f, args, kwargs, "checkpoint")
    return shape_of_result[0].unflatten(found)


def _recompute(f: OnLeaves, leaves: Sequence[Any]) -> list[Any]:
    """``f(*leaves)``, of whose inside the highest level among the leaves keeps nothing."""
    top = highest(leaves)
    if top is None or isinstance(top, RecordTrace):  # a program computes again what it says again
        return f(*leaves)
    mine = [isinstance(a, Tracer) and a.owner is top for a in leaves]
    values = [a.value if m else a for a, m in zip(leaves, mine, strict=True)]
    if isinstance(top, ForwardTrace):
        tangents = [a.tangent for a, m in zip(leaves, mine, strict=True) if m]
        both = _recompute(_with_tangents(f, mine), [*values, *tangents])
        _check_closure(f, both, top)
        ys, ts = both[: len(both) // 2], both[len(both) // 2 :]
        return [y if t is None else ForwardTracer(top, y, t) for y, t in zip(ys, ts, strict=True)]
    if isinstance(top, BatchTrace):
        axes = tuple(0 if m else None for m in mine)
        stacked = _recompute(vmap(f, in_axes=axes), values)
        _check_closure(f, stacked, top)
        return [BatchTracer(top, y) for y in stacked]
    ys = _recompute(f, values)
    _check_closure(f, ys, top)
    assert isinstance(top, ReverseTrace)  # no other kind is left
    return record_call(top, _call(f, mine, ys), leaves, values, ys)


def _apart(leaves: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """The leaves that have a derivative, with None in the places of the others, and the others likewise."""
    real = [has_derivative(a) for a in leaves]
    return [a if r else None for a, r in zip(leaves, real, strict=True)], [
        None if r else a for a, r in zip(leaves, real, strict=True)
    ]


def _with_tangents(f: OnLeaves, mine: Sequence[bool]) -> OnLeaves:
    """f and its derivative, as a function of the leaves and the tangents of those that have one."""

    def both(*given: Any) -> list[Any]:
        of_moving, moving = _of_moving(f, mine, given)
        ys, ts, others = jvp(of_moving, moving, tuple(given[len(mine) :]), has_aux=True)
        return [*(o if y is None else y for y, o in zip(ys, others, strict=True)), *ts]

    both.__qualname__ = f.__qualname__
    return both


def _of_moving(f: OnLeaves, mine: Sequence[bool], given: Sequence[Any]) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """f as a function of those leaves that are differentiated by, and their values; labels and indices are not.

    Its results come apart.
    """
    values = given[: len(mine)]

    def of_moving(*xs: Any) -> tuple[list[Any], list[Any]]:
        it = iter(xs)
        return _apart(f(*(next(it) if m else v for v, m in zip(values, mine, strict=True))))

    of_moving.__qualname__ = f.__qualname__
    return of_moving, tuple(v for v, m in zip(values, mine, strict=True) if m)


def _check_closure(f: OnLeaves, ys: Sequence[Any], top: Trace) -> None:
    # all that f was given is of a lower level than `top`
    if any(isinstance(y, Tracer) and y.owner.level >= top.level for y in ys):
        raise NoDerivative(
            f"{f.__qualname__}: the function uses a traced value that is not among its arguments, and its derivative "
            "would be lost; pass that value as an argument."
        )


def _call(f: OnLeaves, mine: Sequence[bool], ys: Sequence[Any]) -> Call:
    """The node of a call under `checkpoint`, with results ys, whose rules compute its inside again."""

    def back(*given: Any) -> list[Any]:
        """The cotangents of the arguments differentiated by, from all arguments and the cotangents of the results."""
        of_moving, moving = _of_moving(f, mine, given)
        found, pullback, _ = vjp_at(of_moving, *moving, has_aux=True)
        check_same([y for y in ys if has_derivative(y)], found, f.__qualname__)
        return list(pullback(list(given[len(mine) :])))

    def pull(ys: Sequence[Any], xs: Sequence[Any], us: Sequence[Any]) -> list[Any]:
        found = iter(_recompute(back, [*xs, *us]))  # nor do the levels below keep anything
        return [next(found) if m else None for m in mine]

    def push(ys: Sequence[Any], xs: Sequence[Any], ts: Sequence[Any]) -> list[Any]:
        of_moving, moving = _of_moving(f, mine, xs)
        return jvp(of_moving, moving, tuple(t for t, m in zip(ts, mine, strict=True) if m), has_aux=True)[1]  # type: ignore[return-value]

    back.__qualname__ = f.__qualname__
    return Call("checkpoint", push, pull)
