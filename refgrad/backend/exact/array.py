"""Arrays of exact numbers: a thin class round a NumPy object array, and the table of functions it needs.

A bare object array cannot keep the promise of exactness: ``Fraction + 0.5`` silently becomes a float,
``np.ones_like(a) / 3`` leaks one, ``np.maximum`` of two overlapping balls picks one of them. So every operation
here goes through a `Field`, which makes elements, refuses what is not exact, and decides comparisons. What NumPy
does rightly with objects (broadcasting, ``@``, indexing, sums) is left to NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

import numpy as np

from refgrad.backend.base import ELEMENTWISE, Backend
from refgrad.backend.exact.field import Field, box, lift, nearest
from refgrad.errors import MissingExtra, NotRational, RefgradError
from refgrad.typing import DType, Shape

__all__ = ["TABLES", "ElementArray"]

TABLES: dict[str, Backend] = {}
"""The tables of the kinds of exact arrays that are loaded, by the kinds' names."""

_FLOATS = (float, np.floating)
_INTEGERS = (int, np.integer)


class ElementArray:
    """An array whose elements are exact numbers or certified enclosures. Made by `refgrad.exact.asarray`."""

    __slots__ = ("data",)
    __hash__ = None  # type: ignore[assignment]
    field: ClassVar[Field]
    table: ClassVar[Backend]

    data: np.ndarray

    def __init__(self, data: Any) -> None:
        """Wrap an object array, or an element, of the field; anything else goes through `asarray`."""
        kind = type(self.field.zero)
        if isinstance(data, kind):
            data = box(data)
        elif not (
            isinstance(data, np.ndarray) and data.dtype == object and (not data.size or type(data.flat[0]) is kind)
        ):
            data = self.table.asarray(data).data
        self.data = data

    @property
    def shape(self) -> Shape:
        return self.data.shape

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def dtype(self) -> str:
        return self.field.name

    @property
    def T(self) -> ElementArray:
        return type(self)(self.data.T)

    @property
    def mT(self) -> ElementArray:
        return type(self)(np.swapaxes(self.data, -1, -2))

    def __array_namespace__(self, *, api_version: str | None = None) -> Backend:
        return self.table

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        raise TypeError(
            f"an exact array would lose its exactness as a plain NumPy array; {self._how_to_convert()}, or stay "
            "exact: operators, @, indexing and the functions of refgrad.numpy keep it so."
        )

    def _how_to_convert(self) -> str:
        return "write x.astype(float) for the nearest floats"

    def astype(self, dtype: DType) -> np.ndarray:
        """The nearest numbers of a floating or integer `dtype`, as a NumPy array; of balls those nearest the midpoints.

        Beyond the range of the dtype that is an infinity; an integer dtype takes whole numbers only.
        """
        if dtype == self.dtype:
            return self  # type: ignore[return-value]
        if dtype == "rational":
            raise NotRational("a ball is no single rational number; refgrad.exact.bounds(x) gives two that enclose it")
        if dtype == "ball":
            if dtype not in TABLES:
                raise MissingExtra(
                    "balls need python-flint, which the extra exact brings: pip install 'refgrad[exact]'"
                )
            return TABLES[dtype].asarray(self)  # type: ignore[no-any-return]
        fractions = [self.field.fraction(e) for e in self.data.ravel()]
        return nearest(fractions, np.dtype(dtype)).reshape(self.shape)

    @classmethod
    def _coerce(cls, other: Any) -> np.ndarray | None:
        """`other` as an object array of this field, or None if it is something this field knows nothing of."""
        if isinstance(other, cls):
            return other.data
        if isinstance(other, (list, tuple)):
            other = np.array(other, object)
        if isinstance(other, np.ndarray):
            if other.dtype.kind in "iub":
                return lift(cls.field.element, other.astype(object))
            if other.dtype.kind == "O":
                return lift(cls._strict, other)
            raise NotRational(_float_met(cls.field.name, f"an array of {other.dtype}"))
        if hasattr(type(other), "__array_namespace__") and not isinstance(other, np.generic):
            # a traced value, or an array of another kind
            return None
        try:
            return np.asarray(cls._strict(other), object)
        except NotRational:
            raise
        except (TypeError, ValueError):
            return None

    @classmethod
    def _strict(cls, value: Any) -> Any:
        """The element equal to `value`, which must not be a float."""
        if isinstance(value, _FLOATS):
            raise NotRational(_float_met(cls.field.name, repr(float(value))))
        return cls.field.element(int(value) if isinstance(value, _INTEGERS) else value)

    def _binary(self, other: Any, op: Callable[[Any, Any], Any], swap: bool = False) -> Any:
        data = self._coerce(other)
        if data is None:
            return NotImplemented
        return type(self)(op(data, self.data) if swap else op(self.data, data))

    def __add__(self, other: Any) -> Any:
        return self._binary(other, np.add)

    def __radd__(self, other: Any) -> Any:
        return self._binary(other, np.add, True)

    def __sub__(self, other: Any) -> Any:
        return self._binary(other, np.subtract)

    def __rsub__(self, other: Any) -> Any:
        return self._binary(other, np.subtract, True)

    def __mul__(self, other: Any) -> Any:
        return self._binary(other, np.multiply)

    def __rmul__(self, other: Any) -> Any:
        return self._binary(other, np.multiply, True)

    def __truediv__(self, other: Any) -> Any:
        return self._binary(other, np.true_divide)

    def __rtruediv__(self, other: Any) -> Any:
        return self._binary(other, np.true_divide, True)

    def __matmul__(self, other: Any) -> Any:
        return self._binary(other, self._matmul)

    def __rmatmul__(self, other: Any) -> Any:
        return self._binary(other, self._matmul, True)

    def _matmul(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        c = self.field.matmul(a, b)
        if a.shape[-1] == 0:  # NumPy's empty sums of objects are the int 0
            return np.full(np.shape(c), self.field.zero, object)
        return c  # type: ignore[no-any-return]

    def __pow__(self, exponent: Any) -> Any:
        if not isinstance(exponent, (*_INTEGERS, np.ndarray, np.generic, ElementArray)) and hasattr(
            type(exponent), "__array_namespace__"
        ):
            return NotImplemented  # a traced value
        if not isinstance(exponent, _INTEGERS):
            raise NotRational(
                f"x ** n of an exact array: expected an integer n, got {exponent!r}. For a root use sqrt on balls."
            )
        n = int(exponent)
        power = type(self)(self.field.power(self.data, abs(n)))
        return power if n >= 0 else 1 / power

    def __rpow__(self, base: Any) -> Any:
        raise NotRational(f"{base!r} ** x of an exact array x is not rational; refgrad.exact.balls(x) gives enclosures")

    def __neg__(self) -> Any:
        return type(self)(-self.data)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return type(self)(np.absolute(self.data))

    def _compare(self, other: Any, symbol: str, swap: bool = False, negate: bool = False) -> Any:
        data = self._coerce(other)
        if data is None:
            if hasattr(other, "shape") and not hasattr(type(other), "__array_namespace__"):
                raise TypeError(f"expected exact numbers to compare with, got {type(other).__name__}")
            return NotImplemented
        decide = self.field.compare
        pairs = np.broadcast(data, self.data) if swap else np.broadcast(self.data, data)
        flags = np.fromiter((decide(symbol, a, b) != negate for a, b in pairs), bool, pairs.size)
        return flags.reshape(pairs.shape) if pairs.shape else bool(flags[0])

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, "<")

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, "<", swap=True)

    def __le__(self, other: Any) -> Any:
        return self._compare(other, "<=")

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, "<=", swap=True)

    def __eq__(self, other: Any) -> Any:
        return self._compare(other, "==")

    def __ne__(self, other: Any) -> Any:
        return self._compare(other, "==", negate=True)

    def __getitem__(self, index: Any) -> Any:
        return type(self)(self.data[index])

    def __setitem__(self, index: Any, value: Any) -> None:
        data = self._coerce(value)
        if data is None:
            raise TypeError(f"expected exact numbers to store, got {type(value).__name__}")
        # NumPy would store an array of shape () as the element itself
        self.data[index] = data[()] if data.ndim == 0 else data

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def sum(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The sum over `axis`."""
        return self.table.sum(self, axis, keepdims)

    def max(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The largest element over `axis`."""
        return self.table.amax(self, axis, keepdims)

    def min(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The smallest element over `axis`."""
        return self.table.amin(self, axis, keepdims)

    def mean(self, axis: Any = None, *, keepdims: bool = False) -> Any:
        """The mean over `axis`."""
        return self.table.mean(self, axis, keepdims)

    def reshape(self, *shape: Any) -> Any:
        """The elements in row-major order as an array of `shape`."""
        return type(self)(self.data.reshape(*shape))

    def ravel(self) -> Any:
        """The elements in row-major order as a vector."""
        return type(self)(self.data.ravel())

    def _only(self) -> Any:
        if self.size != 1:
            raise TypeError(f"expected an array of one element, got shape {self.shape}")
        return self.data.reshape(()).item()

    def __bool__(self) -> bool:
        return not self.field.compare("==", self._only(), self.field.zero)

    def __float__(self) -> float:
        return float(self.field.fraction(self._only()))

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if self._defers(map(type, inputs)):
            return NotImplemented
        operation = UFUNCS.get(ufunc.__name__) if method == "__call__" and not kwargs else None
        if operation is None:
            what = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
            options = "".join(f", {key}=" for key in kwargs)
            raise TypeError(
                f"numpy.{what}{options} is not defined on exact arrays; defined are, without options, "
                f"{', '.join(sorted(UFUNCS))} and the functions of refgrad.numpy."
            )
        return operation(self.table, *inputs)

    def _defers(self, types: Iterable[type]) -> bool:
        """Whether another kind of array among `types`, a traced one or a wider one, is to say what is done."""
        for t in types:
            if issubclass(t, ElementArray):
                if self.table in t.table.absorbs:
                    return True
            elif hasattr(t, "__array_ufunc__") and not issubclass(t, (np.ndarray, np.generic)):
                return True
        return False

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if self._defers(types):
            return NotImplemented
        ours = self.table.numpy_function(function)
        if ours is None:
            raise TypeError(
                f"numpy.{function.__name__} is not defined on exact arrays; use operators, @, indexing or "
                "refgrad.numpy, or x.astype(float) for the nearest floats."
            )
        try:
            return ours(*args, **kwargs)
        except TypeError as error:
            if isinstance(error, RefgradError) or "argument" not in str(error):
                raise
            raise TypeError(f"numpy.{function.__name__} on exact arrays: {error}") from None

    def __repr__(self) -> str:
        words = np.vectorize(str, otypes=[object])(self.data) if self.size else self.data
        prefix = f"{type(self).__name__}("
        return prefix + np.array2string(words, formatter={"all": str}, separator=", ", prefix=prefix) + ")"

    __str__ = __repr__


UFUNCS: dict[str, Callable[..., Any]] = {
    "add": lambda xp, a, b: a + b if isinstance(a, xp.array) else b.__radd__(a),
    "subtract": lambda xp, a, b: a - b if isinstance(a, xp.array) else b.__rsub__(a),
    "multiply": lambda xp, a, b: a * b if isinstance(a, xp.array) else b.__rmul__(a),
    "divide": lambda xp, a, b: a / b if isinstance(a, xp.array) else b.__rtruediv__(a),
    "matmul": lambda xp, a, b: a @ b if isinstance(a, xp.array) else b.__rmatmul__(a),
    "power": lambda xp, a, b: a**b if isinstance(a, xp.array) else b.__rpow__(a),
    "negative": lambda xp, a: -a,
    "positive": lambda xp, a: a,
    "absolute": lambda xp, a: abs(a),
    "fabs": lambda xp, a: abs(a),
    "fmax": lambda xp, a, b: xp.maximum(a, b),
    "fmin": lambda xp, a, b: xp.minimum(a, b),
    "square": lambda xp, a: a * a,
    "reciprocal": lambda xp, a: 1 / a,
    "less": lambda xp, a, b: a < b if isinstance(a, xp.array) else b > a,
    "less_equal": lambda xp, a, b: a <= b if isinstance(a, xp.array) else b >= a,
    "greater": lambda xp, a, b: a > b if isinstance(a, xp.array) else b < a,
    "greater_equal": lambda xp, a, b: a >= b if isinstance(a, xp.array) else b <= a,
    "equal": lambda xp, a, b: a == b if isinstance(a, xp.array) else b == a,
    "not_equal": lambda xp, a, b: a != b if isinstance(a, xp.array) else b != a,
    "conjugate": lambda xp, a: xp.conj(a),
    "isnan": lambda xp, a: xp.isnan(a),
    "vecdot": lambda xp, a, b: xp.vecdot(a, b),
    **{name: lambda xp, *given, name=name: getattr(xp, name)(*given) for name in ELEMENTWISE},
}
"""What a NumPy ufunc does to exact arrays, by the ufunc's name."""


def _float_met(field: str, what: str) -> str:
    return (
        f"a {field} array met {what}, which would make the result inexact; write an int, a fractions.Fraction, "
        "or refgrad.exact.asarray(value) if its exact binary value is meant."
    )
