"""The derivative at a point as a linear function that can be applied many times."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refgrad.autodiff.arguments import as_own, check_like, check_result, memory_of, name_of, real_leaves
from refgrad.autodiff.moment import snapshot
from refgrad.autodiff.primitive import zeros_like
from refgrad.autodiff.reverse import ReverseTrace, ReverseTracer, reachable
from refgrad.errors import ShapeError
from refgrad.tree import flatten, map
from refgrad.typing import Tree

__all__ = ["linearize"]


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
    what = f"linearize({name_of(f)}): argument "
    xs, in_structure = real_leaves(map(snapshot, primals), what)
    trace = ReverseTrace("linearize", f)
    inputs = [ReverseTracer(trace, x) for x in xs]
    try:
        out = f(*in_structure.unflatten(inputs))
    finally:
        trace.alive = False
    outputs, out_structure = flatten(out)
    mine = [type(o) is ReverseTracer and o.owner is trace for o in outputs]
    values = [o.value if m else check_result(o, f, "linearize") for o, m in zip(outputs, mine, strict=True)]
    nodes = reachable(trace, outputs)[::-1]

    def pushforward(*tangents: Tree) -> Tree:
        vs, structure = flatten(tangents)
        if structure != in_structure:
            raise ShapeError(f"pushforward: expected directions of structure {in_structure!r}, got {structure!r}")
        check_like(xs, vs, "pushforward: direction ", tangents)
        trace.check_uses()
        found: dict[int, Any] = {node.number: v for node, v in zip(inputs, vs, strict=True)}
        for node in nodes:
            if node.primitive is None:
                continue
            ts: list[Any] = [None] * len(node.values)
            for i, a in node.parents:
                ts[i] = found.get(a.number)
            if any(t is not None for t in ts):
                rule = node.primitive.jvp if trace.watch is None else trace.watch.push(node)  # type: ignore[union-attr]
                t = rule(node.value, node.values, ts, **node.params)  # type: ignore[misc]
                if t is not None:
                    found[node.number] = t
        taken = memory_of(vs)
        results = []
        for o, m, value in zip(outputs, mine, values, strict=True):
            t = found.get(o.number) if m else None
            results.append(as_own(zeros_like(value) if t is None else t, value, taken))
        return out_structure.unflatten(results)

    return out_structure.unflatten([snapshot(value) for value in values]), pushforward
