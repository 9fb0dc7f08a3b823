"""What rules are written with: elementwise primitives, zeros and ones like an array, sums that undo broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import PRIMITIVES, Binary, Primitive, Unary, primal
from refgrad.autodiff.domains import Case
from refgrad.backend import Backend, shape_of
from refgrad.backend.lookup import TYPES
from refgrad.errors import NoDerivative
from refgrad.typing import Array, Shape

__all__ = [
    "MAYBE_COMPLEX",
    "complex_result",
    "elementwise",
    "keepdims_shape",
    "number_like",
    "ones_like",
    "unbroadcast",
    "zeros_like",
]


def elementwise(
    name: str,
    impl: Callable[..., Array],
    *,
    d: Sequence[Callable[..., Array] | None],
    source: str,
    cases: Sequence[Case],
    kink: Callable[..., Array] | None = None,
    needs_table: bool = True,
) -> Primitive:
    """A primitive that works element by element, with broadcasting.

    Its derivative is diagonal, and a diagonal map is its own transpose, so one linear map serves both rules.

    Parameters
    ----------
    d : sequence of callables or None
        ``d[i](t, y, *args, **params) = t * dy/dargs[i]``, linear in t; None for an argument without a derivative. It
        may return None for zero. Only a primitive of one argument has parameters.
    """
    parts: dict[str, Any] = {"source": source, "cases": cases, "kink": kink, "needs_table": needs_table}
    if len(d) == 1 and (rule := d[0]) is not None:  # nothing is added or broadcast
        return Unary(
            name,
            impl,
            jvp=lambda y, xs, ts, **params: rule(ts[0], y, xs[0], **params),
            vjp=lambda i, g, y, x, **params: rule(g, y, x, **params),
            **parts,
        )
    if len(d) == 2:
        by_a, by_b = d

        def jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
            (a, b), (s, t) = xs, ts
            first = None if s is None or by_a is None else by_a(s, y, a, b)
            second = None if t is None or by_b is None else by_b(t, y, a, b)
            if first is not None and second is not None:
                return first + second
            return broadcast(second if first is None else first, y)

        def vjp(i: int, g: Array, y: Array, a: Array, b: Array) -> Array:
            rule, x = (by_b, b) if i else (by_a, a)
            term = None if rule is None else rule(g, y, a, b)
            return term if term is None else unbroadcast(term, x)

        return Binary(name, impl, jvp=jvp, vjp=vjp, **parts)

    def jvp_of_many(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
        total = None
        for t, rule in zip(ts, d, strict=True):
            term = None if t is None or rule is None else rule(t, y, *xs)
            if term is not None:
                total = term if total is None else total + term
        return broadcast(total, y)

    def vjp_of_many(i: int, g: Array, y: Array, *xs: Array) -> Array:
        rule = d[i]
        term = None if rule is None else rule(g, y, *xs)
        return term if term is None else unbroadcast(term, xs[i])

    return Primitive(name, impl, jvp=jvp_of_many, vjp=vjp_of_many, **parts)


def broadcast(t: Array, y: Array) -> Array:
    """The tangent `t`, which may be None for zero, in the shape of its value `y`."""
    if t is None or getattr(t, "shape", ()) == getattr(y, "shape", ()):
        return t
    return spread_to(t, shape_of(y))


def spread_to(x: Array, shape: Shape) -> Array:
    """`x` broadcast to `shape`; a plain array without the way through the primitive, which costs as much again."""
    xp = TYPES.get(type(x))
    return PRIMITIVES["broadcast_to"].apply(x, shape=shape) if xp is None else xp.broadcast_to(x, shape)


def unbroadcast(g: Array, x: Array) -> Array:
    """The cotangent `g` summed over the axes along which `x` was broadcast."""
    shape = getattr(x, "shape", ())
    if getattr(g, "shape", ()) == shape:
        return g
    xp = TYPES.get(type(g))
    return PRIMITIVES["sum_to"].apply(g, shape=shape) if xp is None else sum_to_shape(xp, g, shape)


def sum_to_shape(xp: Backend, x: Array, shape: Shape) -> Array:
    """The sum over the axes along which an array of `shape` was broadcast to that of `x`."""
    given = shape_of(x)
    extra = len(given) - len(shape)
    if given[extra:] == shape:
        return xp.sum(x, tuple(range(extra)), False)
    axis = tuple(range(extra)) + tuple(extra + i for i, n in enumerate(shape) if n == 1 and given[extra + i] != 1)
    y = xp.sum(x, axis, True)
    return xp.reshape(y, shape) if extra else y


def ones_like(x: Array) -> Array:
    """Untraced ones with the shape and dtype of `x`."""
    value = primal(x)
    xp = backend.of(value)
    # inside vmap the plain value has an example axis that x has not
    return xp.ones_like(value if shape_of(value) == shape_of(x) else xp.zeros(shape_of(x), value))


def zeros_like(x: Array) -> Array:
    """Untraced zeros with the shape and dtype of `x`."""
    value = primal(x)
    xp = backend.of(value)
    return xp.zeros_like(value) if shape_of(value) == shape_of(x) else xp.zeros(shape_of(x), value)


def number_like(x: Array, n: int) -> Array:
    """The untraced number n, shape (), in the dtype of `x`."""
    value = primal(x)
    xp = backend.of(value)
    return (xp.zeros((), value) if shape_of(value) else xp.zeros_like(value)) + n


MAYBE_COMPLEX = (np.ndarray, np.complex128, np.complex64)
"""Types whose values may be complex; a tuple, for its test is the cheapest."""


def complex_result(primitive: Primitive) -> NoDerivative:
    """The error for a result that is complex: its imaginary part would be dropped on the way back."""
    return NoDerivative(
        f"{primitive.name}: expected real numbers, got a complex result from a complex constant. Write the real "
        "and the imaginary part as two real arrays."
    )


def keepdims_shape(shape: Shape, axis: tuple[int, ...]) -> Shape:
    """`shape` with length 1 in the places `axis`: what a reduction with keepdims gives."""
    return tuple(1 if i in axis else n for i, n in enumerate(shape))
