"""Forward mode: values that carry a tangent.

``jvp(f, (x,), (v,))`` gives f(x) and the directional derivative ``J v`` in one run of f. A tangent that is zero is not
carried at all, so constants cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from refgrad.autodiff.arguments import as_own, check_like, check_result, explain, memory_of, pair, real_leaves
from refgrad.autodiff.core import Primitive, Trace, Tracer
from refgrad.autodiff.moment import IMMUTABLE, hold
from refgrad.autodiff.primitive import MAYBE_COMPLEX, complex_result, zeros_like
from refgrad.errors import ShapeError
from refgrad.tree import flatten
from refgrad.typing import Tree

__all__ = ["jvp"]


class ForwardTracer(Tracer):
    """A value and its tangent."""

    __slots__ = ("tangent",)

    def __init__(self, trace: Trace, value: Any, tangent: Any) -> None:
        self.owner, self.value, self.tangent = trace, value, tangent


class ForwardTrace(Trace):
    """One run of forward mode."""

    __slots__ = ()

    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values, tangents = list(args), [None] * len(args)
        plain = real = True
        for i, a in enumerate(args):
            if type(a) is ForwardTracer and a.owner is self:
                tangents[i] = a.tangent
                a = values[i] = a.value
                if isinstance(a, Tracer):
                    plain = False
            elif isinstance(a, Tracer):
                plain = False
            elif type(a) not in IMMUTABLE:
                real = False
        y = primitive.evaluate(values, params) if plain else primitive.apply(*values, **params)
        if primitive.jvp is None:
            return primitive.constant(y, values, params)
        if not real and type(y) in MAYBE_COMPLEX and y.dtype.kind == "c":
            raise complex_result(primitive)
        tangent = primitive.jvp(y, values, tangents, **params)
        return y if tangent is None else ForwardTracer(self, y, tangent)

    def unary(self, primitive: Primitive, x: Any, params: dict[str, Any]) -> Any:
        y = primitive.apply(x.value, **params)
        rule = primitive.jvp
        if rule is None:
            return primitive.constant(y, (x.value,), params)
        tangent = rule(y, (x.value,), (x.tangent,), **params)
        return y if tangent is None else ForwardTracer(self, y, tangent)

    def binary(self, primitive: Primitive, a: Any, b: Any) -> Any:
        s = t = None
        if type(a) is ForwardTracer and a.owner is self:
            a, s = a.value, a.tangent
        if type(b) is ForwardTracer and b.owner is self:
            b, t = b.value, b.tangent
        y = primitive.apply(a, b)
        rule = primitive.jvp
        if rule is None:
            return primitive.constant(y, (a, b), {})
        if (s is None or t is None) and type(y) in MAYBE_COMPLEX and y.dtype.kind == "c":
            raise complex_result(primitive)
        tangent = rule(y, (a, b), (s, t))
        return y if tangent is None else ForwardTracer(self, y, tangent)


PRIMAL_LOCAL = "y"
"""The local variable with the value whose tangent is computed, here and in `linearize.push`; for staging's names."""


def jvp(
    f: Callable[..., Tree], primals: tuple[Tree, ...], tangents: tuple[Tree, ...], *, has_aux: bool = False
) -> tuple[Tree, ...]:
    """The value of f and its derivative in one direction: ``f(x)`` and ``J(x) v``.

    Parameters
    ----------
    f : callable
        Takes the primals as positional arguments and returns a tree of arrays.
    primals, tangents : tuples of trees
        The point and the direction, one entry per argument, of the same structures and shapes.
    has_aux : bool
        Whether f returns a pair of that tree and anything else, which is handed through.

    Returns
    -------
    tuple
        ``(f(x), J v)``, both of the structure of f's result; with `has_aux` also the rest.

    Raises
    ------
    NoDerivative
        If a primal is not real.
    ShapeError
        If a tangent does not have the structure and shape of its primal.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import jvp
    >>> y, dy = jvp(lambda x: x * x, (np.array([1.0, 3.0]),), (np.array([1.0, 10.0]),))
    >>> bool((dy == [2.0, 60.0]).all())
    True
    """
    if not isinstance(primals, (tuple, list)) or not isinstance(tangents, (tuple, list)):
        raise ShapeError(
            "jvp: expected tuples of primals and tangents, one entry per argument; write jvp(f, (x,), (v,))"
        )
    return jvp_at(f, primals, tangents, has_aux, "jvp", f)


def jvp_at(
    f: Callable[..., Tree], primals: Sequence[Tree], tangents: Sequence[Tree], has_aux: bool, what: str, named: Any
) -> tuple[Tree, ...]:
    """What `jvp` returns; messages speak of the transformation `what` of the function `named`."""
    points = [real_leaves(point, what, named, [i]) for i, point in enumerate(primals)]
    directions = [flatten(direction) for direction in tangents]
    if [structure for _, structure in points] != [structure for _, structure in directions]:
        wanted, got = (flatten(tuple(trees))[1] for trees in (primals, tangents))
        raise ShapeError(f"{what}: expected tangents of the structure of the primals, {wanted!r}; got {got!r}")
    trace = ForwardTrace("jvp", f)
    traced, given = [], []
    for i, ((xs, structure), (vs, _)) in enumerate(zip(points, directions, strict=True)):
        check_like(xs, vs, f"{what}: tangent [{i}]", tangents[i])
        held = [ForwardTracer(trace, hold(x), hold(v)) for x, v in zip(xs, vs, strict=True)]
        traced.append(structure.unflatten(held))
        given += xs + vs
    try:
        out = f(*traced)
        if has_aux:
            out, aux = pair(out, f)
            aux = strip(trace, aux)
    except (AttributeError, TypeError, ValueError) as error:
        explain(error, what, named, primals)
        raise
    finally:
        trace.alive = False
    leaves, structure = flatten(out)
    taken = memory_of(given)
    values, derivatives = [], []
    for leaf in leaves:
        mine = type(leaf) is ForwardTracer and leaf.owner is trace
        if not mine:
            check_result(leaf, named, what)
        value = leaf.value if mine else leaf
        values.append(as_own(value, value, taken))
        derivatives.append(as_own(leaf.tangent if mine else zeros_like(leaf), values[-1], taken))
    result = structure.unflatten(values), structure.unflatten(derivatives)
    return (*result, aux) if has_aux else result


def strip(trace: Trace, aux: Tree) -> Tree:
    """The auxiliary output without this trace's tracers."""
    leaves, structure = flatten(aux)
    return structure.unflatten([a.value if isinstance(a, Tracer) and a.owner is trace else a for a in leaves])
