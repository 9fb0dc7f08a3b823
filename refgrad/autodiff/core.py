"""The core of the engine: runs of transformations, traced values, primitives.

Every run of a transformation makes one `Trace` with a level from a counter that is never reused, so an inner run
is always above the outer one and a value of a run that has ended is recognised, whatever threads, exceptions or
caches did in between. There is no global stack. A `Tracer` stands for a value at one level; under it lies the value
at the levels below, down to a plain array. A `Primitive` that meets tracers asks the trace of the highest level what
becomes of it; that trace may compute with the values below, and so hand the operation down.

What a traced value can do as an array stands in `refgrad.numpy.methods`; what a trace makes of a primitive, in
`forward`, `reverse`, `batch` and `record`, one for each transformation.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np
from numpy import dtype, ndarray

from refgrad import backend
from refgrad.autodiff.domains import Case
from refgrad.backend import NUMPY, shape_of
from refgrad.errors import EscapedTracer, Kink
from refgrad.typing import Array, DType, Shape

__all__ = [
    "PRIMITIVES", "Batching", "Binary", "Primitive", "Trace", "Tracer", "Unary", "Watch", "primal", "value_of",
    "watching",
]  # fmt: skip

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by its name."""

_levels = itertools.count(1)

BY_KIND = {kind: dtype(kind) for kind in (bool, int, float, complex)}
"""The dtypes that NumPy gives Python numbers."""


watching: ContextVar[Callable[[], Watch] | None] = ContextVar("refgrad.debug", default=None)
"""Inside `refgrad.debug`, what makes the watch over a run that begins."""


class Trace(ABC):
    """One run of a transformation.

    Attributes
    ----------
    level : int
        Higher than that of every run that began before.
    alive : bool
        False once the run has ended; its tracers may not be computed with any more.
    label : tuple
        The transformation's name and the function it was given, for messages.
    watch : Watch or None
        What looks at every operation, if the run began inside `refgrad.debug`.
    """

    __slots__ = ("alive", "label", "level", "watch")

    def __init__(self, transformation: str, f: Callable[..., Any]) -> None:
        self.level = next(_levels)
        self.alive = True
        self.label = (transformation, f)
        watch = watching.get()
        self.watch = None if watch is None else watch()

    @abstractmethod
    def process(self, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """Apply a primitive to arguments of which at least one is a tracer of this trace."""

    def unary(self, primitive: Primitive, x: Any, params: dict[str, Any]) -> Any:
        """What `process` does with one argument, which is a tracer of this trace."""
        return self.process(primitive, (x,), params)

    def binary(self, primitive: Primitive, a: Any, b: Any) -> Any:
        """What `process` does with two arguments, one of them a tracer of this trace, and no parameters."""
        return self.process(primitive, (a, b), {})

    def escape_error(self, tracer: Tracer | None = None) -> EscapedTracer:
        """The error for a tracer that is used after the run."""
        transformation, f = self.label
        name = getattr(f, "__qualname__", repr(f))
        where = (
            " Inside refgrad.debug() this message names the line." if self.watch is None else self.watch.where(tracer)
        )
        return EscapedTracer(
            f"a value traced by {transformation}({name}) was used after that call had ended. It escaped through a "
            "global, a cache, a generator or a container. Return it from the function instead, with has_aux=True if "
            f"it is not the result; inside the function, refgrad.value_of(x) is its plain value.{where}"
        )


class Tracer:
    """A traced value: an array for every purpose but assignment and conversion to a plain array."""

    __slots__ = ("origin", "owner", "value")  # the origin is set inside refgrad.debug only

    origin: Any
    owner: Trace
    value: Any

    @property
    def shape(self) -> Shape:
        try:
            return self.value.shape  # type: ignore[no-any-return]
        except AttributeError:  # a Python number
            return ()

    @property
    def dtype(self) -> DType:
        try:
            return self.value.dtype  # type: ignore[no-any-return]
        except AttributeError:  # a Python number, which takes part in operations as a weak one all the same
            return BY_KIND.get(type(self.value), BY_KIND[float])

    def single(self) -> Any:
        """The value one level down, if it is the value of one evaluation."""
        return self.value

    def __repr__(self) -> str:
        return f"Traced<{self.owner.label[0]}>({self.value!r})"


def primal(x: Any) -> Any:
    """The plain array under every level of tracing, which inside `vmap` has the examples' axes in front.

    For its library and its dtype; code that decides something asks `value_of`.
    """
    while isinstance(x, Tracer):
        x = x.value
    return x


def value_of(x: Array) -> Array:
    """A copy of the plain value of a traced array, to print or to branch on; anything else is returned as it is.

    What is computed from it has no derivative.

    Parameters
    ----------
    x : array
        Traced or not.

    Raises
    ------
    BatchedValue
        Inside `vmap`, where a value stands for many examples.

    Examples
    --------
    >>> import refgrad
    >>> def f(x):
    ...     print(refgrad.value_of(x))
    ...     return x * x
    >>> float(refgrad.grad(f)(3.0))
    3.0
    6.0
    """
    if not isinstance(x, Tracer):
        return x
    while isinstance(x, Tracer):
        x = x.single()
    return backend.of(x).copy(x)


Batching = Callable[[int, Sequence[bool], Sequence[Any], dict[str, Any]], Any]
"""A batching rule.

It gets `size`, the number of examples; `mapped`, which of the arguments have an example axis; `args`, where those have
it in front; and the parameters of the call on one example. It returns the results of all examples, their axis in front.
"""


class Primitive:
    """One operation with everything that a derivative, a reader or a test needs of it.

    =========  ==================================================================================================
    impl       ``impl(xp, *args, **params)``: the only place that touches arrays
    jvp        ``jvp(y, xs, ts, **params)``: the tangent of y; a tangent that is zero is None
    vjp        ``vjp(i, g, y, *xs, **params)``: the cotangent of argument i, given that of y
    batch      ``batch(size, mapped, args, params)``: the operation for every example at once; see `Batching`
    source     the operation as a NumPy expression
    cases      domains from which the tests draw arguments
    kink       ``kink(y, *xs, **params)``: where there is no derivative, as a mask; its docstring says where that is
    =========  ==================================================================================================

    Rules are written with primitives, operators and integer literals only. Hence they nest to any order, keep float32
    float32, and run unchanged on rational numbers and balls. They see arguments and result of the operation, never an
    opaque by-product such as a factorisation: derivatives of a saved by-product are how forward-over-forward goes
    wrong. A primitive with ``vjp=None`` is piecewise constant (a comparison): its results are not traced by the levels
    that differentiate. At a kink the rules give floats the value of a convention; of exact numbers, whose derivatives
    are certificates, they raise `Kink` instead, for any element: a convention is not to be told from a true derivative
    by what is multiplied with it.
    """

    __slots__ = ("batch", "cases", "impl", "jvp", "kink", "name", "needs_table", "source", "vjp")

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
        kink: Callable[..., Array] | None = None,
        needs_table: bool = True,
    ) -> None:
        if (jvp is None) != (vjp is None):
            raise ValueError(f"primitive {name}: expected both of jvp and vjp, or neither")
        if name in PRIMITIVES:
            raise ValueError(f"primitive {name} is defined twice")
        self.name, self.impl, self.jvp, self.vjp, self.kink = name, impl, jvp, vjp, kink
        if kink is not None and jvp is not None and vjp is not None:
            self.jvp, self.vjp = self._guard(jvp, vjp)
        self.source, self.cases = source, tuple(cases)
        self.batch = self.align if batch is None else batch
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
                raise top.escape_error(next(a for a in args if isinstance(a, Tracer) and a.owner is top))
            if top.watch is not None:
                return top.watch.call(top, self, args, params)
            return top.process(self, args, params)
        return self.evaluate(args, params)

    __call__ = apply

    def evaluate(self, args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The operation on arguments of which none is traced."""
        if not self.needs_table:
            return self.impl(*args, **params)
        return self.impl(backend.of(*args), *args, **params)

    def _guard(self, jvp: Callable[..., Array], vjp: Callable[..., Array]) -> tuple[Callable[..., Array], ...]:
        def push(y: Array, xs: Sequence[Array], ts: Sequence[Array], **params: Any) -> Array:
            if type(y) is not ndarray:
                self.refuse_kinks(y, xs, params)
            return jvp(y, xs, ts, **params)

        def pull(i: int, g: Array, y: Array, *xs: Array, **params: Any) -> Array:
            if type(y) is not ndarray:
                self.refuse_kinks(y, xs, params)
            return vjp(i, g, y, *xs, **params)

        return push, pull

    def constant(self, y: Array, xs: Sequence[Array], params: dict[str, Any]) -> Array:
        """`y`, the result of a primitive without rules, unless exact numbers lie where it jumps."""
        if self.kink is not None:
            self.refuse_kinks(y, xs, params)
        return y

    def refuse_kinks(self, y: Array, xs: Sequence[Array], params: dict[str, Any]) -> None:
        """Raise `Kink` if `xs` are exact numbers and there is no derivative at an element of them."""
        assert self.kink is not None
        if backend.of(*map(primal, xs)).exact and np.any(primal(self.kink(y, *xs, **params))):
            where = f" ({self.kink.__doc__})" if self.kink.__doc__ else ""
            raise Kink(
                f"{self.name}: exact numbers lie where it has no derivative{where}, and one by convention would be "
                "no truth. Move the point, choose a branch with where(condition, a, b), or take floats, whose "
                "conventions are those of refgrad.autodiff.conventions"
            )

    def align(self, size: int, mapped: Sequence[bool], args: Sequence[Any], params: dict[str, Any]) -> Any:
        """The batching rule of what broadcasts over leading axes: all arguments are brought to one rank first."""
        if len(args) == 1:
            return self.apply(args[0], **params)
        if len(args) == 2:  # as nearly always: no lists are made
            (a, b), (m, n) = args, mapped
            missing = getattr(b, "ndim", 0) - n - getattr(a, "ndim", 0) + m
            if missing > 0 and m:
                a = _append_axes(a, missing)
            elif missing < 0 and n:
                b = _append_axes(b, -missing)
            return self.apply(a, b, **params)
        ranks = [getattr(a, "ndim", 0) - m for a, m in zip(args, mapped, strict=True)]
        missings = [max(ranks) - r if m else 0 for r, m in zip(ranks, mapped, strict=True)]
        return self.apply(*(_append_axes(a, k) if k else a for a, k in zip(args, missings, strict=True)), **params)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _append_axes(a: Array, count: int) -> Array:
    """An array with `count` axes of length 1 after that of the examples."""
    size, *rest = shape_of(a)
    return PRIMITIVES["reshape"].apply(a, shape=(size, *(1,) * count, *rest))


class Unary(Primitive):
    """A primitive of one argument, which may have parameters.

    Nearly all that a program does has one argument, or two and no parameters (`Binary`), and in Python a list of
    arguments and the loops over it cost more than a small product. So these are handed over one by one: here, in
    `Trace.unary` and `Trace.binary`, and in the rules of `elementwise`. To a trace that does not differentiate, and to
    a watch, they are like all others.
    """

    __slots__ = ()

    def apply(self, x: Any, **params: Any) -> Any:  # type: ignore[override]
        if isinstance(x, Tracer):
            top = x.owner
            if not top.alive:
                raise top.escape_error(x)
            if top.watch is not None:
                return top.watch.call(top, self, (x,), params)
            return top.unary(self, x, params)
        impl = self.impl
        if not self.needs_table:
            return impl(x, **params)
        # NumPy first: asking the type table costs as much as a small addition
        return impl(NUMPY if type(x) is ndarray else backend.of(x), x, **params)

    __call__ = apply


class Binary(Primitive):
    """A primitive of two arguments without parameters; see `Unary`."""

    __slots__ = ()

    def apply(self, a: Any, b: Any) -> Any:  # type: ignore[override]
        if isinstance(a, Tracer):
            top = a.owner
            if isinstance(b, Tracer) and b.owner.level > top.level:
                top = b.owner
        elif isinstance(b, Tracer):
            top = b.owner
        else:
            impl = self.impl
            return impl(backend.of(a, b), a, b) if self.needs_table else impl(a, b)
        if not top.alive:
            raise top.escape_error(a if isinstance(a, Tracer) and a.owner is top else b)
        if top.watch is not None:
            return top.watch.call(top, self, (a, b), {})
        return top.binary(self, a, b)

    __call__ = apply


class Watch(Protocol):
    """What looks at the operations and rules of one run; `refgrad.debug` makes one for each run that begins in it."""

    def call(self, trace: Trace, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """An operation on traced arguments: what `trace` makes of it, looked at."""

    def record(self, node: Any) -> None:
        """A call of a function with rules of its own."""

    def pull(self, node: Any) -> Callable[..., Any]:
        """The cotangent rule of `node`, looked at."""

    def push(self, node: Any) -> Callable[..., Any]:
        """The tangent rule of `node`, looked at."""

    def where(self, tracer: Tracer | None) -> str:
        """Where an escaped value was made, as a sentence."""
