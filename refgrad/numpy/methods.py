"""What a traced value can do as an array: operators, indexing, methods, and NumPy's own functions on it.

All of it is this namespace's functions; `refgrad.autodiff` imports this module last, and so gives them to `Tracer`.
What would drop a derivative without a word (conversion to a plain array, assignment, pickling) is refused here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgrad import numpy as namespace
from refgrad.autodiff.core import Primitive, Tracer, value_of
from refgrad.autodiff.rules import discrete
from refgrad.autodiff.rules import elementwise as rules
from refgrad.errors import NoDerivative, TracedAssignment
from refgrad.numpy import conversion, elementwise, indexing, products, shapes
from refgrad.numpy.dispatch import apply_function, apply_ufunc, hint
from refgrad.typing import DType

__all__ = ["ArrayMethods"]

NAMED = (
    "all", "any", "argmax", "argmin", "argsort", "clip", "conj", "conjugate", "cumprod", "cumsum", "diagonal", "dot",
    "max", "mean", "min", "prod", "repeat", "round", "squeeze", "std", "sum", "swapaxes", "take", "trace", "var",
)  # fmt: skip
"""Methods of a NumPy array that are the functions of the namespace by the same name."""


def _both(primitive: Primitive) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """An operator and its reflection."""
    apply = primitive.apply
    return lambda self, other: apply(self, other), lambda self, other: apply(other, self)


class ArrayMethods(Tracer):
    """The attributes that `Tracer` gets from here."""

    __slots__ = ()
    __array_priority__ = 1000

    __add__, __radd__ = _both(rules.add)
    __sub__, __rsub__ = _both(rules.sub)
    __mul__, __rmul__ = _both(rules.mul)
    __truediv__, __rtruediv__ = _both(rules.div)
    __lt__, __gt__ = (_both(rules.comparisons[name])[0] for name in ("lt", "gt"))
    __le__, __ge__ = (_both(rules.comparisons[name])[0] for name in ("le", "ge"))
    __eq__, __ne__ = (_both(rules.comparisons[name])[0] for name in ("eq", "ne"))  # type: ignore[assignment]
    __and__, __rand__ = _both(discrete.bitwise["and"])
    __or__, __ror__ = _both(discrete.bitwise["or"])
    __xor__, __rxor__ = _both(discrete.bitwise["xor"])
    __hash__ = None  # type: ignore[assignment]

    def __neg__(self) -> Any:
        return rules.neg.apply(self)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return rules.abs_.apply(self)

    def __invert__(self) -> Any:
        return discrete.invert.apply(self)

    def __pow__(self, other: Any) -> Any:
        return elementwise.power(self, other)

    def __rpow__(self, other: Any) -> Any:
        return elementwise.power(other, self)

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
        return products.matmul(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return products.matmul(other, self)

    def __getitem__(self, index: Any) -> Any:
        return indexing.getitem(self, index)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a traced value of shape (): it has no first axis")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        size = 1
        for n in self.shape:
            size *= n
        return size

    @property
    def T(self) -> Any:
        return shapes.transpose(self)

    @property
    def mT(self) -> Any:
        return shapes.matrix_transpose(self)

    @property
    def real(self) -> Any:
        return conversion.real(self)

    @property
    def imag(self) -> Any:
        return conversion.imag(self)

    def reshape(self, *shape: Any) -> Any:
        """The elements in row-major order as an array of `shape`."""
        return shapes.reshape(self, shape[0] if len(shape) == 1 else shape)

    def ravel(self) -> Any:
        """The elements in row-major order as a vector."""
        return shapes.reshape(self, (-1,))

    flatten = ravel

    def transpose(self, *axes: Any) -> Any:
        """The array with its axes permuted, reversed if none are given."""
        if len(axes) == 1 and not isinstance(axes[0], int):
            axes = axes[0]
        return shapes.transpose(self, axes or None)

    def astype(self, dtype: DType, *, copy: bool = True) -> Any:
        """The array in another floating dtype; whether it is a copy makes no difference, for it cannot change."""
        return conversion.astype(self, dtype)

    def copy(self) -> Any:
        """The value itself: traced arrays never change."""
        return self

    __copy__ = copy

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        return namespace

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return apply_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        return apply_function(function, args, kwargs, self)

    def __format__(self, spec: str) -> str:
        return format(value_of(self), spec) if spec else str(self)

    def __bool__(self) -> bool:
        return bool(value_of(self))

    def __setitem__(self, index: Any, value: Any) -> None:
        raise TracedAssignment(
            f"x[{index!r}] = ... : a traced array cannot change. Build the new array instead: "
            "refgrad.numpy.where(mask, value, x), refgrad.numpy.concatenate([...]) or refgrad.numpy.stack([...])."
        )

    def item(self) -> Any:
        _refuse(self, "item()", "keep it as an array, or take refgrad.value_of(x).item() if it is only to be looked at")

    def __reduce_ex__(self, protocol: Any) -> Any:
        _refuse(self, "pickling", "pickle refgrad.value_of(x)")

    def __float__(self) -> float:
        # NumPy asks for this in y[i] = x, and then complains of "a sequence": this message is the cause it names
        return _refuse(  # type: ignore[no-any-return]
            self,
            "float()",
            "use operators and refgrad.numpy in place of the math module, and refgrad.numpy.stack([...]) in place of "
            "assignments y[i] = x into a plain array",
        )

    def __int__(self) -> int:
        return _refuse(self, "int()", "an integer has no derivative; take it of refgrad.value_of(x)")  # type: ignore[no-any-return]

    __index__ = __int__

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        theirs = _scipys_caller()
        if theirs is not None:
            advice = hint(theirs) or "Write it with the functions of refgrad.numpy."
            raise NoDerivative(
                f"{theirs} makes plain NumPy arrays of its arguments, and a traced value of shape {self.shape} would "
                f"lose its derivative. {advice} If none is needed, give refgrad.value_of(x)."
            )
        return _refuse(
            self,
            "conversion to a plain NumPy array",
            "a traced value reached numpy.array, an assignment into a plain array, or compiled code. Use "
            "refgrad.numpy.stack([...]) to collect values, refgrad.numpy.where to choose, refgrad.value_of(x) to look, "
            "and for a[x] with a traced index refgrad.numpy.take(a, x, axis=0)",
        )


def _scipys_caller() -> str | None:
    """The function of SciPy that the user's code has called, if one of them asks for a plain array."""
    found, frame = None, sys._getframe(2)
    while frame is not None:
        module, name = str(frame.f_globals.get("__name__")), frame.f_code.co_qualname
        if module.startswith("scipy."):
            package = ".".join(module.split(".")[:2])
            if found is None or hasattr(sys.modules[package], name):
                found = f"{package}.{name}"
        elif not module.startswith(("numpy", "refgrad")):
            break
        frame = frame.f_back  # type: ignore[assignment]
    return found


def _refuse(x: Tracer, what: str, instead: str) -> Any:
    raise NoDerivative(f"{what} of a traced value of shape {x.shape} would drop its derivative: {instead}.")


for _name, _attribute in vars(ArrayMethods).items():
    if _name not in ("__doc__", "__module__", "__qualname__", "__slots__"):
        setattr(Tracer, _name, _attribute)
for _name in NAMED:
    setattr(Tracer, _name, getattr(namespace, _name))
