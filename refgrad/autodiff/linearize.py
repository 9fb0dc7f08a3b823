"""The derivative at a point as a linear function that can be applied many times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from operator import attrgetter
from typing import Any

from refgrad.autodiff.arguments import as_own, check_like, check_result, explain, memory_of, real_leaves
from refgrad.autodiff.moment import hold, snapshot
from refgrad.autodiff.primitive import zeros_like
from refgrad.autodiff.reverse import ReverseTrace, ReverseTracer, pull
from refgrad.errors import ShapeError
from refgrad.tree import flatten, map
from refgrad.typing import Array, Tree

__all__ = ["Run", "linearize"]


def push(
    trace: ReverseTrace,
    nodes: Sequence[ReverseTracer],
    inputs: Sequence[ReverseTracer],
    tangents: Sequence[Any],
    check: bool = True,
) -> dict[int, Any]:
    """The tangents of `nodes`, the earliest first, by their number, given those of `inputs`; None for zero."""
    if check:
        trace.check_uses()
    watch = trace.watch
    found: dict[int, Any] = {node.number: v for node, v in zip(inputs, tangents, strict=True) if v is not None}
    for node in nodes:
        if node.primitive is None:
            continue
        y = node.value
        ts: list[Any] = [None] * len(node.values)
        for i, a in node.parents:
            ts[i] = found.get(a.number)
        if any(t is not None for t in ts):
            rule = node.primitive.jvp if watch is None else watch.push(node)
            t = rule(y, node.values, ts, **node.params)  # type: ignore[misc]
            if t is not None:
                found[node.number] = t
    return found


def linearize(f: Callable[..., Tree], *primals: Tree) -> tuple[Tree, Callable[..., Tree]]:
    """The value of f, and its derivative there as a function of the direction: ``f(x)`` and ``v -> J(x) v``.

    f runs once; every direction costs the tangent rules alone. ``linearize(grad(f), x)`` gives a Hessian-vector product
    for conjugate gradients, which need many at one point.

    Parameters
    ----------
    f : callable
        Takes the primals and returns a tree of arrays.
    *primals : trees
        Of real arrays.

    Returns
    -------
    tuple
        ``(f(x), pushforward)``; ``pushforward(*v)`` takes one direction per primal, of its structure and shapes, and
        returns what `refgrad.jvp` would.

    Raises
    ------
    NoDerivative
        If a primal is not real.
    ShapeError
        By the pushforward, if a direction does not have the structure and shape of its primal.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad, linearize
    >>> a = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> g, hessian_times = linearize(grad(lambda x: x @ a @ x / 2), np.array([1.0, -1.0]))
    >>> bool((hessian_times(np.array([0.0, 1.0])) == [1.0, 3.0]).all())
    True
    """
    run = Run("linearize", f, map(snapshot, primals))

    def pushforward(*tangents: Tree) -> Tree:
        vs, structure = flatten(tangents)
        if structure != run.in_structure:
            raise ShapeError(f"pushforward: expected directions of structure {run.in_structure!r}, got {structure!r}")
        check_like(run.primals, vs, "pushforward: direction ", tangents)
        return run.out_structure.unflatten(run.push(vs))

    return run.out_structure.unflatten([snapshot(value) for value in run.values]), pushforward


class Run:
    """One run of f, and the linear maps that its trace is: tangents forward, cotangents back.

    Attributes
    ----------
    primals, values : lists of arrays
        The leaves of the arguments and of the result.
    in_structure, out_structure : Structure
    """

    def __init__(self, transformation: str, f: Callable[..., Tree], primals: tuple[Tree, ...]) -> None:
        self.primals, self.in_structure = real_leaves(primals, transformation, f)
        self._trace = trace = ReverseTrace(transformation, f)
        self._inputs = [ReverseTracer(trace, hold(x)) for x in self.primals]
        try:
            out = f(*self.in_structure.unflatten(self._inputs))
        except (AttributeError, TypeError, ValueError) as error:
            explain(error, transformation, f, primals)
            raise
        finally:
            trace.alive = False
        self._outputs, self.out_structure = flatten(out)
        self._mine = [type(o) is ReverseTracer and o.owner is trace for o in self._outputs]
        self.values = [
            o.value if m else check_result(o, f, transformation) for o, m in zip(self._outputs, self._mine, strict=True)
        ]

    @cached_property
    def _nodes(self) -> list[ReverseTracer]:
        """What the outputs depend on, the earliest first."""
        nodes = {o.number: o for o, m in zip(self._outputs, self._mine, strict=True) if m}
        found = list(nodes.values())
        for node in found:  # which grows
            for _, a in node.parents:
                if a.number not in nodes:
                    nodes[a.number] = a
                    found.append(a)
        return sorted(found, key=attrgetter("number"), reverse=True)

    def depends_on(self, k: int) -> bool:
        """Whether any result was computed from argument k's leaves."""
        return any(node.number == self._inputs[k].number for node in self._nodes)

    def push(self, tangents: Sequence[Any], *, check: bool = True) -> list[Array]:
        """The tangents of the result's leaves, given those of the arguments'; None is a zero.

        The arrays that are kept are checked for changes, unless they just have been or will be.
        """
        found = push(self._trace, self._nodes, self._inputs, tangents, check)
        taken = memory_of([v for v in tangents if v is not None])
        results = []
        for o, m, value in zip(self._outputs, self._mine, self.values, strict=True):
            t = found.get(o.number) if m else None
            results.append(as_own(zeros_like(value) if t is None else t, value, taken))
        return results

    def pull(self, cotangents: Sequence[Any], *, check: bool = True) -> list[Array]:
        """The cotangents of the arguments' leaves, given those of the result's.

        The arrays that are kept are checked for changes, unless they just have been.
        """
        found = pull(self._trace, self._outputs, cotangents, self._inputs, check)
        taken = memory_of(cotangents)
        return [as_own(zeros_like(x) if g is None else g, x, taken) for g, x in zip(found, self.primals, strict=True)]
