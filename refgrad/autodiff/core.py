"""Levels and traced values: what a transformation wraps its inputs in.

Every run of a transformation makes one `Trace` with a level from a counter that is never reused, so an inner run
is always above the outer one and a value of a run that has ended is recognised, whatever threads, exceptions or
caches did in between. There is no global stack. A `Tracer` stands for a value at one level; under it lies the value
at the levels below, down to a plain array.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad.errors import EscapedTracer, NoDerivative, TracedAssignment
from refgrad.typing import Array, DType, Shape

if TYPE_CHECKING:
    from refgrad.autodiff.debugging import Watch
    from refgrad.autodiff.primitive import Primitive

__all__ = ["PRIMITIVES", "Trace", "Tracer", "primal", "value_of", "watching"]

PRIMITIVES: dict[str, Primitive] = {}
"""Every primitive by its name."""

watching: ContextVar[Callable[[], Watch] | None] = ContextVar("refgrad.debug", default=None)
"""Inside `refgrad.debug`, what makes the watch over a run that begins."""

METHODS = frozenset({
    "all", "any", "argmax", "argmin", "argsort", "clip", "conj", "conjugate", "cumprod", "cumsum", "diagonal", "prod",
    "repeat", "round", "squeeze", "std", "swapaxes", "take", "var",
})  # fmt: skip
"""Methods of a NumPy array that are the functions of the namespace by the same name."""

_levels = itertools.count(1)


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

    def escaped(self, tracer: Tracer | None = None) -> EscapedTracer:
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
    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

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
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def dtype(self) -> DType:
        try:
            return self.value.dtype  # type: ignore[no-any-return]
        except AttributeError:  # a Python number
            return float

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    def __add__(self, other: Any) -> Any:
        return PRIMITIVES["add"].apply(self, other)

    def __radd__(self, other: Any) -> Any:
        return PRIMITIVES["add"].apply(other, self)

    def __sub__(self, other: Any) -> Any:
        return PRIMITIVES["sub"].apply(self, other)

    def __rsub__(self, other: Any) -> Any:
        return PRIMITIVES["sub"].apply(other, self)

    def __mul__(self, other: Any) -> Any:
        return PRIMITIVES["mul"].apply(self, other)

    def __rmul__(self, other: Any) -> Any:
        return PRIMITIVES["mul"].apply(other, self)

    def __truediv__(self, other: Any) -> Any:
        return PRIMITIVES["div"].apply(self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return PRIMITIVES["div"].apply(other, self)

    def __neg__(self) -> Any:
        return PRIMITIVES["neg"].apply(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return PRIMITIVES["abs"].apply(self)

    def __pow__(self, other: Any) -> Any:
        return _namespace().power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return _namespace().power(other, self)

    # one is constant almost everywhere, the other has no rule: the dispatch of NumPy's functions knows
    def __floordiv__(self, other: Any) -> Any:
        return np.floor_divide(self, other)

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(other, self)

    def __mod__(self, other: Any) -> Any:
        return np.remainder(self, other)

    def __rmod__(self, other: Any) -> Any:
        return np.remainder(other, self)

    def __matmul__(self, other: Any) -> Any:
        return _namespace().matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _namespace().matmul(other, self)

    def __lt__(self, other: Any) -> Any:
        return PRIMITIVES["lt"].apply(self, other)

    def __le__(self, other: Any) -> Any:
        return PRIMITIVES["le"].apply(self, other)

    def __gt__(self, other: Any) -> Any:
        return PRIMITIVES["gt"].apply(self, other)

    def __ge__(self, other: Any) -> Any:
        return PRIMITIVES["ge"].apply(self, other)

    def __eq__(self, other: Any) -> Any:
        return PRIMITIVES["eq"].apply(self, other)

    def __ne__(self, other: Any) -> Any:
        return PRIMITIVES["ne"].apply(self, other)

    def __and__(self, other: Any) -> Any:
        return PRIMITIVES["bitwise_and"].apply(self, other)

    def __rand__(self, other: Any) -> Any:
        return PRIMITIVES["bitwise_and"].apply(other, self)

    def __or__(self, other: Any) -> Any:
        return PRIMITIVES["bitwise_or"].apply(self, other)

    def __ror__(self, other: Any) -> Any:
        return PRIMITIVES["bitwise_or"].apply(other, self)

    def __xor__(self, other: Any) -> Any:
        return PRIMITIVES["bitwise_xor"].apply(self, other)

    def __rxor__(self, other: Any) -> Any:
        return PRIMITIVES["bitwise_xor"].apply(other, self)

    def __invert__(self) -> Any:
        return PRIMITIVES["invert"].apply(self)

    def __getitem__(self, index: Any) -> Any:
        return _namespace().getitem(self, index)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced value of shape (): it has no first axis")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    @property
    def T(self) -> Any:
        return _namespace().transpose(self)

    @property
    def mT(self) -> Any:
        return _namespace().matrix_transpose(self)

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The sum over `axis`."""
        return _namespace().sum(self, axis=axis, keepdims=keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The mean over `axis`."""
        return _namespace().mean(self, axis=axis, keepdims=keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The largest element over `axis`."""
        return _namespace().max(self, axis=axis, keepdims=keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The smallest element over `axis`."""
        return _namespace().min(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape: Any) -> Any:
        """The elements in row-major order as an array of `shape`."""
        return _namespace().reshape(self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> Any:
        """The elements in row-major order as a vector."""
        return _namespace().reshape(self, (-1,))

    flatten = ravel

    def transpose(self, *axes: Any) -> Any:
        """The array with its axes permuted, reversed if none are given."""
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = axes[0]
        return _namespace().transpose(self, axes or None)

    def trace(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
        """The sum of a diagonal of a matrix, or of each in a stack."""
        return _namespace().trace(self, offset, axis1, axis2)

    def dot(self, other: Any) -> Any:
        """The matrix product."""
        return _namespace().dot(self, other)

    def astype(self, dtype: DType, *, copy: bool = True) -> Any:
        """The array in another floating dtype; whether it is a copy makes no difference, for it cannot change."""
        return _namespace().astype(self, dtype)

    def item(self) -> Any:
        self._refuse("item()", "keep it as an array, or take refgrad.value_of(x).item() if it is only to be looked at")

    def copy(self) -> Any:
        """The value itself: traced arrays never change."""
        return self

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        self._refuse("pickling", "pickle refgrad.value_of(x)")

    def __getattr__(self, name: str) -> Any:
        # only what the class does not have comes here
        if name in ("real", "imag"):
            return getattr(_namespace(), name)(self)
        if name in METHODS:
            return partial(getattr(_namespace(), name), self)
        raise AttributeError(
            f"a traced value has no attribute {name!r}; use a function of refgrad.numpy, or refgrad.value_of(x).{name} "
            "if no derivative is needed"
        )

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TracedAssignment(
            f"x[{index!r}] = ... : a traced array cannot change. Build the new array instead: "
            "refgrad.numpy.where(mask, value, x), refgrad.numpy.concatenate([...]) or refgrad.numpy.stack([...])."
        )

    def __bool__(self) -> bool:
        return bool(value_of(self))

    def _single(self) -> Any:
        """The value one level down, if it is the value of one evaluation."""
        return self.value

    def _refuse(self, what: str, instead: str) -> Any:
        raise NoDerivative(f"{what} of a traced value of shape {self.shape} would drop its derivative: {instead}.")

    def __float__(self) -> float:
        # NumPy asks for this in y[i] = x, and then complains of "a sequence": this message is the cause it names
        return self._refuse(  # type: ignore[no-any-return]
            "float()",
            "use operators and refgrad.numpy in place of the math module, and refgrad.numpy.stack([...]) in place of "
            "assignments y[i] = x into a plain array",
        )

    def __int__(self) -> int:
        return self._refuse("int()", "an integer has no derivative; take it of refgrad.value_of(x)")  # type: ignore[no-any-return]

    __index__ = __int__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._refuse(
            "conversion to a plain NumPy array",
            "a traced value reached numpy.array, an assignment into a plain array, or compiled code. Use "
            "refgrad.numpy.stack([...]) to collect values, refgrad.numpy.where to choose, refgrad.value_of(x) to look, "
            "and for a[x] with a traced index refgrad.numpy.take(a, x, axis=0)",
        )

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return _namespace()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return _namespace().apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return _namespace().apply_function(function, args, kwargs)

    def __format__(self, spec: str) -> str:
        return format(value_of(self), spec) if spec else str(self)

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
    """The plain value of a traced array, to print or to branch on; anything else is returned as it is.

    What is computed from it has no derivative. Inside `vmap` a value stands for many examples and has no single plain
    value: then this raises `BatchedValue`.

    >>> import refgrad
    >>> def f(x):
    ...     print(refgrad.value_of(x))
    ...     return x * x
    >>> float(refgrad.grad(f)(3.0))
    3.0
    6.0
    """
    while isinstance(x, Tracer):
        x = x._single()
    return x


_module: Any = None


def _namespace() -> Any:
    # floor 2 reaches up to refgrad.numpy here and nowhere else: x.sum(), np.tanh(x) and x[i] are its functions
    global _module
    if _module is None:
        from refgrad import numpy

        _module = numpy
    return _module
