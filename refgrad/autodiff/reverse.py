"""Reverse mode: record what each value came from, then pull a cotangent back through it.

A traced value knows the primitive and the arguments that made it, and has a number, lower than those of all values made
before. What has a cotangent waits in a heap, from which the latest is taken: every value comes after all that use it,
so that the sum of its cotangents is complete; no recursion and no global tape. Sums are formed out of place and in a
fixed order, so a gradient is the same bits in every run.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from refgrad.autodiff.arguments import (
    as_own,
    check_like,
    check_result,
    explain,
    memory_of,
    name_of,
    pair,
    real_leaves,
    select,
)
from refgrad.autodiff.core import Primitive, Trace, Tracer, primal
from refgrad.autodiff.forward import strip
from refgrad.autodiff.moment import IMMUTABLE, Use, hold, keep, snapshot
from refgrad.autodiff.primitive import MAYBE_COMPLEX, complex_result, ones_like, zeros_like
from refgrad.autodiff.transform import Transform
from refgrad.backend import shape_of
from refgrad.errors import NoDerivative, ShapeError
from refgrad.tree import flatten, map
from refgrad.typing import Array, ScalarFunction, Tree

__all__ = ["grad", "value_and_grad", "vjp"]

_numbers = itertools.count(0, -1)


class ReverseTracer(Tracer):
    """A value, and how it was made: `primitive` applied to `values`, of which `parents` (place, tracer) are traced."""

    __slots__ = ("number", "params", "parents", "primitive", "values")

    def __init__(
        self,
        trace: Trace,
        value: Any,
        primitive: Primitive | None = None,
        parents: Sequence[tuple[int, ReverseTracer]] = (),
        values: Sequence[Any] = (),
        params: dict[str, Any] = {},  # noqa: B006  (never changed)
    ) -> None:
        self.owner, self.value, self.number = trace, value, next(_numbers)
        self.primitive, self.parents = primitive, parents
        self.values, self.params = values, params


class ReverseTrace(Trace):
    """One run of reverse mode.

    Attributes
    ----------
    uses : list of Use
        The large arrays that are kept for its sweeps.
    """

    __slots__ = ("uses",)

    def __init__(self, transformation: str, f: Callable[..., Any]) -> None:
        super().__init__(transformation, f)
        self.uses: list[Use] = []

    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        values, parents = list(args), []
        plain, captured = True, -1
        for i, a in enumerate(args):
            if type(a) is ReverseTracer and a.owner is self:
                parents.append((i, a))
                a = values[i] = a.value
                if isinstance(a, Tracer):
                    plain = False
            elif isinstance(a, Tracer):
                plain = False
            elif type(a) not in IMMUTABLE:
                captured = i
        y = primitive.evaluate(values, params) if plain else primitive.apply(*values, **params)
        if primitive.vjp is None:
            return primitive.constant(y, values, params)
        if captured >= 0:  # only what is captured can make a result complex, or change
            if type(y) in MAYBE_COMPLEX and y.dtype.kind == "c":
                raise complex_result(primitive)
            for i in range(captured + 1):
                if values[i] is args[i]:
                    values[i] = keep(values[i], primitive.name, self.uses, y)
        return ReverseTracer(self, y, primitive, parents, values, params)

    def unary(self, primitive: Primitive, x: Any, params: dict[str, Any]) -> Any:
        y = primitive.apply(x.value, **params)
        if primitive.vjp is None:
            return primitive.constant(y, (x.value,), params)
        return ReverseTracer(self, y, primitive, ((0, x),), (x.value,), params)

    def binary(self, primitive: Primitive, a: Any, b: Any) -> Any:
        first, second = type(a) is ReverseTracer and a.owner is self, type(b) is ReverseTracer and b.owner is self
        u, v = a.value if first else a, b.value if second else b
        y = primitive.apply(u, v)
        if primitive.vjp is None:
            return primitive.constant(y, (u, v), {})
        if first and second:
            return ReverseTracer(self, y, primitive, ((0, a), (1, b)), (u, v))
        other = b if first else a
        if type(other) not in IMMUTABLE and not isinstance(other, Tracer):
            if type(y) in MAYBE_COMPLEX and y.dtype.kind == "c":
                raise complex_result(primitive)
            other = keep(other, primitive.name, self.uses, y)
        if first:
            return ReverseTracer(self, y, primitive, ((0, a),), (u, other))
        return ReverseTracer(self, y, primitive, ((1, b),), (other, v))

    def check_uses(self) -> None:
        """Raise if an array that is kept has changed since it was used."""
        for use in self.uses:
            use.check(f"{self.label[0]}({name_of(self.label[1])})")


def pull(
    trace: ReverseTrace,
    outputs: Sequence[Any],
    cotangents: Sequence[Any],
    inputs: Sequence[ReverseTracer],
    check: bool = True,
) -> list[Array | None]:
    """The cotangents of `inputs`, given those of `outputs`; None for zero."""
    if check and trace.uses:
        trace.check_uses()
    watch = trace.watch
    sums: dict[int, Any] = {}
    nodes: dict[int, ReverseTracer] = {}
    pending: list[int] = []  # a heap
    for out, g in zip(outputs, cotangents, strict=True):
        if type(out) is ReverseTracer and out.owner is trace:
            number = out.number
            if number in sums:
                sums[number] = sums[number] + g
            else:
                sums[number] = g
                if out.parents:
                    nodes[number] = out
                    heappush(pending, number)
    while pending:
        number = heappop(pending)
        node, g = nodes[number], sums.pop(number)
        rule = node.primitive.vjp if watch is None else watch.pull(node)  # type: ignore[union-attr]
        y, values, params = node.value, node.values, node.params
        for i, a in node.parents:
            term = rule(i, g, y, *values, **params) if params else rule(i, g, y, *values)  # type: ignore[misc]
            if term is not None:
                number = a.number
                if number in sums:
                    sums[number] = sums[number] + term
                else:
                    sums[number] = term
                    if a.parents:  # what has none is an input, and keeps its sum
                        nodes[number] = a
                        heappush(pending, number)
    return [sums.get(node.number) for node in inputs]


NODE_LOCAL = "a"
"""The local variable of `pull` that holds the value whose cotangent is computed; staging names values by it."""


def vjp(f: Callable[..., Tree], *primals: Tree, has_aux: bool = False) -> tuple[Any, ...]:
    """The value of f and the function that pulls cotangents back: ``f(x)`` and ``u -> J(x)^T u``.

    Parameters
    ----------
    f : callable
        Takes the primals and returns a tree of arrays.
    *primals : trees
        Of real arrays.
    has_aux : bool
        Whether f returns a pair of that tree and anything else.

    Returns
    -------
    tuple
        ``(f(x), pullback)``; ``pullback(u)``, u of the structure of f(x), is a tuple with one tree per primal, and may
        be called any number of times. With `has_aux` a third entry, the rest.

    Raises
    ------
    NoDerivative
        If a primal is not real.
    ShapeError
        By the pullback, if a cotangent does not have the structure and shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import vjp
    >>> y, pullback = vjp(lambda a, x: a @ x, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 1.0]))
    >>> bool((pullback(np.array([1.0, 0.0]))[1] == [1.0, 2.0]).all())
    True
    """
    result, pullback, *aux = vjp_at(f, *map(snapshot, primals), has_aux=has_aux)
    return (map(snapshot, result), pullback, *map(snapshot, aux))


def vjp_at(
    f: Callable[..., Tree], *primals: Tree, has_aux: bool = False, what: str = "vjp", named: Any = None
) -> tuple[Any, ...]:
    """What `vjp` returns, for callers that leave the primals and the result as they are; messages speak of `named`."""
    named = f if named is None else named
    xs, in_structure = real_leaves(primals, what, named)
    trace = ReverseTrace("vjp", f)
    inputs = [ReverseTracer(trace, x) for x in xs]
    try:
        out = f(*in_structure.unflatten(inputs))
        if has_aux:
            out, aux = pair(out, f)
            aux = strip(trace, aux)
    except (AttributeError, TypeError, ValueError) as error:
        explain(error, what, named, primals)
        raise
    finally:
        trace.alive = False
    outputs, out_structure = flatten(out)
    values = [
        o.value if type(o) is ReverseTracer and o.owner is trace else check_result(o, named, what) for o in outputs
    ]

    def pullback(cotangent: Tree) -> tuple[Tree, ...]:
        us, structure = flatten(cotangent)
        if structure != out_structure:
            raise ShapeError(f"pullback: expected a cotangent of structure {out_structure!r}, got {structure!r}")
        check_like(values, us, "pullback: cotangent", cotangent)
        found = pull(trace, outputs, us, inputs)
        taken = memory_of(us)
        leaves = [as_own(zeros_like(x) if g is None else g, x, taken) for g, x in zip(found, xs, strict=True)]
        return in_structure.unflatten(leaves)  # type: ignore[no-any-return]

    result = out_structure.unflatten(values), pullback
    return (*result, aux) if has_aux else result


def value_and_grad(
    f: ScalarFunction, argnums: int | tuple[int, ...] = 0, has_aux: bool = False
) -> Callable[..., tuple[Any, Tree]]:
    """The function that returns ``f(x)`` and the gradient of f at x; see `grad`.

    With `has_aux` the first entry is the pair ``(f(x), aux)``.

    Parameters
    ----------
    f, argnums, has_aux : as in `grad`
    """
    return Transform(_value_and_gradient, f, argnums, has_aux)


def _value_and_gradient(
    f: ScalarFunction, argnums: int | tuple[int, ...], has_aux: bool, /, *args: Any, **kwargs: Any
) -> tuple[Any, Tree]:
    return gradient_at(f, args, kwargs, argnums, has_aux)


def gradient_at(
    f: ScalarFunction,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    argnums: int | tuple[int, ...],
    has_aux: bool,
    what: str = "grad",
) -> tuple[Any, Tree]:
    """The value and the gradient of f at one point; what `value_and_grad` returns, without making a function."""
    places = select(args, argnums, what)
    single = not isinstance(argnums, (tuple, list))
    chosen = args[places[0]] if single else tuple(args[p] for p in places)
    xs, structure = real_leaves(chosen, what, f, argnums)
    trace = ReverseTrace("grad", f)
    inputs = [ReverseTracer(trace, hold(x)) for x in xs]
    traced = structure.unflatten(inputs)
    filled = list(args)
    if single:
        filled[places[0]] = traced
    else:
        for place, value in zip(places, traced, strict=True):
            filled[place] = value
    try:
        out = f(*filled, **kwargs)
        if has_aux:
            out, aux = pair(out, f)
            aux = strip(trace, aux)
    except (AttributeError, TypeError, ValueError) as error:
        explain(error, what, f, [args[p] for p in places])
        raise
    finally:
        trace.alive = False
    mine = type(out) is ReverseTracer and out.owner is trace
    if not mine or out.shape != ():
        _check_scalar(out, f, has_aux, mine, what)
    found = pull(trace, [out], [ones_like(out)], inputs) if mine else [None] * len(xs)
    taken: dict[int, Any] = {}
    leaves = [as_own(zeros_like(x) if g is None else g, x, taken) for g, x in zip(found, xs, strict=True)]
    value = out.value if mine else out
    if type(value) is np.ndarray:
        value = as_own(value, value, memory_of(xs))
    return ((value, aux) if has_aux else value), structure.unflatten(leaves)


def grad(f: ScalarFunction, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable[..., Tree]:
    """The gradient of a function with one number as its result.

    Parameters
    ----------
    f : callable
        Returns an array of shape (); with `has_aux`, a pair of that and anything else.
    argnums : int or tuple of ints
        Which positional arguments to differentiate by; a tuple gives a tuple of gradients.
    has_aux : bool
        Whether f returns such a pair; then the gradient comes in a pair with the rest.

    Returns
    -------
    callable
        Takes the arguments of f. The gradient has the containers, shapes and dtypes of the argument, and shares no
        memory with anything.

    Raises
    ------
    NoDerivative
        If the argument is not real, or the result of f is no single number.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import grad
    >>> a = np.array([[2.0, 1.0], [1.0, 3.0]])
    >>> x = np.array([1.0, -1.0])
    >>> bool((grad(lambda x: x @ a @ x / 2)(x) == a @ x).all())
    True
    """
    return Transform(_gradient, f, argnums, has_aux)


def _gradient(f: ScalarFunction, argnums: int | tuple[int, ...], has_aux: bool, /, *args: Any, **kwargs: Any) -> Tree:
    value, g = gradient_at(f, args, kwargs, argnums, has_aux)
    return (g, value[1]) if has_aux else g


def _check_scalar(out: Any, f: ScalarFunction, has_aux: bool, mine: bool, what: str) -> None:
    if isinstance(primal(out), (tuple, list, dict)) or out is None:
        hint = "" if has_aux else "; if it returns (value, rest), write has_aux=True"
        raise NoDerivative(f"{what}({name_of(f)}): expected one number as the result, got {type(out).__name__}{hint}.")
    if not mine:
        check_result(out, f, what)
    if shape_of(out) != ():
        raise NoDerivative(
            f"{what}({name_of(f)}): expected a result of shape (), one number, got shape {shape_of(out)}. "
            "Reduce it, with refgrad.numpy.sum or mean, or take the whole Jacobian with refgrad.jacrev."
        )
