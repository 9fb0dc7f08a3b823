"""What rules are written with: elementwise primitives, zeros and ones like an array, sums that undo broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from refgrad import backend
from refgrad.autodiff.core import PRIMITIVES, Primitive, primal
from refgrad.autodiff.domains import Case
from refgrad.backend import shape_of
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
    if len(d) == 1 and (rule := d[0]) is not None:  # one argument: nothing is added or broadcast
        return Primitive(
            name,
            impl,
            jvp=lambda y, xs, ts, **params: rule(ts[0], y, xs[0], **params),
            vjp=lambda i, g, y, x, **params: rule(g, y, x, **params),
            source=source,
            cases=cases,
            kink=kink,
            needs_table=needs_table,
        )

    def jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array]) -> Array:
        total = None
        for i, t in enumerate(ts):
            if t is not None and (rule := d[i]) is not None:
                term = rule(t, y, *xs)
                if term is not None:
                    total = term if total is None else total + term
        if total is None or getattr(total, "shape", ()) == getattr(y, "shape", ()):
            return total
        return PRIMITIVES["broadcast_to"].apply(total, shape=shape_of(y))

    def vjp(i: int, g: Array, y: Array, *xs: Array) -> Array:
        rule = d[i]
        term = None if rule is None else rule(g, y, *xs)
        shape = getattr(xs[i], "shape", ())
        if term is None or getattr(term, "shape", ()) == shape:
            return term
        return PRIMITIVES["sum_to"].apply(term, shape=shape)

    return Primitive(name, impl, jvp=jvp, vjp=vjp, source=source, cases=cases, kink=kink, needs_table=needs_table)


def unbroadcast(g: Array, x: Array) -> Array:
    """The cotangent `g` summed over the axes along which `x` was broadcast."""
    shape = getattr(x, "shape", ())
    return g if getattr(g, "shape", ()) == shape else PRIMITIVES["sum_to"].apply(g, shape=shape)


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
