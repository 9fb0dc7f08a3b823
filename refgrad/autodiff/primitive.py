"""What a primitive is: one operation with everything a derivative, a reader or a test needs of it, in one place.

=========  ==================================================================================================
impl       ``impl(xp, *args, **params)``: the only place that touches arrays
jvp        ``jvp(y, xs, ts, **params)``: the tangent of y; a tangent that is zero is None
vjp        ``vjp(i, g, y, *xs, **params)``: the cotangent of argument i, given that of y
batch      ``batch(size, mapped, args, params)``: the operation for every example at once; see `Batching`
source     the operation as a NumPy expression
cases      domains from which the tests draw arguments
=========  ==================================================================================================

Rules are written with primitives, operators and integer literals only. Hence they nest to any order, keep float32
float32, and run unchanged on rational numbers and balls. They see arguments and result of the operation, never an
opaque by-product such as a factorisation: derivatives of a saved by-product are how forward-over-forward goes wrong.

The derivative of an elementwise operation is diagonal, and a diagonal map is its own transpose, so `elementwise`
takes one linear map for both rules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy import ndarray

from refgrad import backend
from refgrad.autodiff.core import PRIMITIVES, Trace, Tracer, primal
from refgrad.backend import NUMPY, shape_of
from refgrad.errors import NoDerivative
from refgrad.typing import Array, Shape

__all__ = [
    "MAYBE_COMPLEX",
    "Batching",
    "Case",
    "Domain",
    "Primitive",
    "case",
    "complex_result",
    "elementwise",
    "full_rank",
    "index",
    "inside",
    "invertible",
    "kept",
    "mask",
    "nonzero",
    "number_like",
    "ones_like",
    "positive",
    "positive_definite",
    "real",
    "symmetric",
    "unbroadcast",
    "zeros_like",
]


@dataclass(frozen=True)
class Domain:
    """Where one argument of a primitive may lie; plain data, from which the tests make a strategy."""

    kind: str
    shape: Shape
    high: int = 0


@dataclass(frozen=True)
class Case:
    """Domains of the arguments of one call, and its parameters."""

    args: tuple[Domain, ...]
    params: dict[str, Any] = field(default_factory=dict)


def real(*shape: int) -> Domain:
    """Any real numbers."""
    return Domain("real", shape)


def positive(*shape: int) -> Domain:
    """Positive numbers."""
    return Domain("positive", shape)


def nonzero(*shape: int) -> Domain:
    """Numbers other than zero."""
    return Domain("nonzero", shape)


def inside(*shape: int) -> Domain:
    """Numbers between -1 and 1, not close to either."""
    return Domain("inside", shape)


def index(high: int, *shape: int) -> Domain:
    """Integers from 0 to high - 1."""
    return Domain("index", shape, high)


def mask(*shape: int) -> Domain:
    """Booleans."""
    return Domain("mask", shape)


def invertible(*shape: int) -> Domain:
    """Stacks of invertible matrices."""
    return Domain("invertible", shape)


def positive_definite(*shape: int) -> Domain:
    """Stacks of matrices whose symmetric part is positive definite, with a rational Cholesky factor."""
    return Domain("positive_definite", shape)


def symmetric(*shape: int) -> Domain:
    """Stacks of matrices whose symmetric part has different rational eigenvalues and rational unit eigenvectors."""
    return Domain("symmetric", shape)


def full_rank(*shape: int) -> Domain:
    """Stacks of tall matrices ``Q R``, rational Q with orthonormal columns, R with a positive diagonal."""
    return Domain("full_rank", shape)


def case(*args: Domain, **params: Any) -> Case:
    """A call with arguments from `args` and keyword parameters `params`."""
    return Case(args, params)


Batching = Callable[[int, Sequence[bool], Sequence[Any], dict[str, Any]], Any]
"""A batching rule.

It gets `size`, the number of examples; `mapped`, which of the arguments have an example axis; `args`, where those have
it in front; and the parameters of the call on one example. It returns the results of all examples, their axis in front.
"""


class Primitive:
    """A callable operation with its rules; see the module's docstring for the fields.

    Without a traced argument it is the plain operation of the arguments' array library. With one, the trace of the
    highest level among them decides. A primitive with ``vjp=None`` is piecewise constant (a comparison): its results
    are not traced by the levels that differentiate.
    """

    __slots__ = ("batch", "cases", "impl", "jvp", "name", "needs_table", "source", "vjp")

    def __init__(
        self,
        name: str,
        impl: Callable[..., Array],
        *,
        jvp: Callable[..., Array] | None,
        vjp: Callable[..., Array] | None,
        source: str,
        cases: Sequence[Case],
        batch: Batching | None = None,
        needs_table: bool = True,
    ) -> None:
        if (jvp is None) != (vjp is None):
            raise ValueError(f"primitive {name}: expected both of jvp and vjp, or neither")
        if name in PRIMITIVES:
            raise ValueError(f"primitive {name} is defined twice")
        self.name, self.impl, self.jvp, self.vjp = name, impl, jvp, vjp
        self.source, self.cases = source, tuple(cases)
        self.batch = self.aligned if batch is None else batch
        self.needs_table = needs_table
        PRIMITIVES[name] = self

    def apply(self, *args: Any, **params: Any) -> Any:
        """What calling the primitive does; CPython calls a method in half the time of an instance."""
        top: Trace | None = None
        for a in args:
            if isinstance(a, Tracer) and (top is None or a.owner.level > top.level):
                top = a.owner
        if top is not None:
            if not top.alive:
                raise top.escaped(next(a for a in args if isinstance(a, Tracer) and a.owner is top))
            if top.watch is not None:
                return top.watch.call(top, self, args, params)
            return top.process(self, args, params)
        return self.evaluate(args, params)

    __call__ = apply

    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The operation on arguments of which none is traced."""
        if not self.needs_table:
            return self.impl(*args, **params)
        # NumPy first: asking the type table costs as much as a small addition
        xp = NUMPY if len(args) == 1 and type(args[0]) is ndarray else backend.of(*args)
        return self.impl(xp, *args, **params)

    def aligned(self, size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The batching rule of what broadcasts over leading axes: all arguments are brought to one rank first."""
        if len(args) == 1:
            return self.apply(args[0], **params)
        if len(args) == 2:  # as nearly always: no lists are made
            (a, b), (m, n) = args, mapped
            missing = getattr(b, "ndim", 0) - n - getattr(a, "ndim", 0) + m
            if missing > 0 and m:
                a = _raised(a, missing)
            elif missing < 0 and n:
                b = _raised(b, -missing)
            return self.apply(a, b, **params)
        ranks = [getattr(a, "ndim", 0) - m for a, m in zip(args, mapped, strict=True)]
        missings = [max(ranks) - r if m else 0 for r, m in zip(ranks, mapped, strict=True)]
        return self.apply(*(_raised(a, k) if k else a for a, k in zip(args, missings, strict=True)), **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _raised(a: Array, count: int) -> Array:
    """An array with `count` axes of length 1 after that of the examples."""
    size, *rest = shape_of(a)
    return PRIMITIVES["reshape"].apply(a, shape=(size, *(1,) * count, *rest))


def elementwise(
    name: str,
    impl: Callable[..., Array],
    *,
    d: Sequence[Callable[..., Array] | None],
    source: str,
    cases: Sequence[Case],
    needs_table: bool = True,
) -> Primitive:
    """A primitive that works element by element, with broadcasting.

    Parameters
    ----------
    d : sequence of callables or None
        ``d[i](t, y, *args, **params) = t * dy/dargs[i]``, linear in t; None for an argument without a derivative. It
        may return None for zero.
    """
    if len(d) == 1 and (rule := d[0]) is not None:  # one argument: nothing is added or broadcast
        return Primitive(
            name,
            impl,
            jvp=lambda y, xs, ts, **params: rule(ts[0], y, xs[0], **params),
            vjp=lambda i, g, y, x, **params: rule(g, y, x, **params),
            source=source,
            cases=cases,
            needs_table=needs_table,
        )

    def jvp(y: Array, xs: Sequence[Array], ts: Sequence[Array], **params: Any) -> Array:
        total = None
        for i, t in enumerate(ts):
            if t is not None and (rule := d[i]) is not None:
                term = rule(t, y, *xs, **params)
                if term is not None:
                    total = term if total is None else total + term
        if total is None or getattr(total, "shape", ()) == getattr(y, "shape", ()):
            return total
        return PRIMITIVES["broadcast_to"].apply(total, shape=shape_of(y))

    def vjp(i: int, g: Array, y: Array, *xs: Array, **params: Any) -> Array:
        rule = d[i]
        if rule is None:
            return None
        term = rule(g, y, *xs, **params)
        shape = getattr(xs[i], "shape", ())
        if term is None or getattr(term, "shape", ()) == shape:
            return term
        return PRIMITIVES["sum_to"].apply(term, shape=shape)

    return Primitive(name, impl, jvp=jvp, vjp=vjp, source=source, cases=cases, needs_table=needs_table)


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


def kept(shape: Shape, axis: tuple[int, ...]) -> Shape:
    """`shape` with length 1 in the places `axis`: what a reduction with keepdims gives."""
    return tuple(1 if i in axis else n for i, n in enumerate(shape))
