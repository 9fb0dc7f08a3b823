"""NumPy's names on exact arrays, beyond what the engine asks for: making, sorting, linear algebra, rearranging.

What is made is made of exact elements (``np.eye(2, like=a)``, ``np.arange(3, like=a)``), never of floats or Python
ints, whose quotients would be floats. What NumPy does rightly with objects is left to NumPy, by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.field import lift
from refgrad.backend.exact.table import ElementBackend
from refgrad.errors import ShapeError
from refgrad.typing import Array, Shape

__all__ = ["ExactNamespace"]

PASSED_ON = {
    "array_split", "atleast_1d", "atleast_2d", "atleast_3d", "copy", "diag", "diagonal", "diff",
    "einsum", "flip", "fliplr", "flipud", "hstack", "inner", "kron", "matrix_transpose", "moveaxis", "ndim", "outer",
    "prod", "ravel", "repeat", "roll", "rot90", "shape", "size", "split", "swapaxes", "tensordot", "tile", "trace",
    "tril", "triu", "vstack",
}  # fmt: skip
"""Functions that only multiply, add or move elements, so that NumPy's own give the right ones."""


NOT_NUMPYS = {"field", "indices", "name", "pad", "xp"}
"""Attributes of a table that mean something else than NumPy's function of that name."""


class ExactNamespace(ElementBackend):
    """What `ElementBackend` is for the engine, and these functions for people: an array's ``__array_namespace__``."""

    def arange(self, start: Any, stop: Any = None, step: Any = 1) -> Any:
        """``start, start + step, ...`` below `stop`; exact numbers, not indices."""
        start, stop = (0, start) if stop is None else (start, stop)
        low, high, by = (self.field.fraction(self.field.element(x)) for x in (start, stop, step))
        return self.asarray([low + by * i for i in range(max(0, -((low - high) // by)))])

    def linspace(self, start: Any, stop: Any, num: int = 50) -> Any:
        """`num` numbers at equal distances, from `start` to `stop`."""
        a, b = self.asarray(start), self.asarray(stop)
        return self.stack([a + (b - a) * i / max(1, num - 1) for i in range(num)])

    def eye(self, N: int, M: int | None = None, k: int = 0, dtype: Any = None, **others: Any) -> Any:
        """Ones on the k-th diagonal of zeros, shape (N, M)."""
        return self.asarray(np.eye(N, M, k, dtype=int).astype(object))

    identity = eye

    def full(self, shape: Shape, fill_value: Any, dtype: Any = None, **others: Any) -> Any:
        """`fill_value` in every place of `shape`."""
        return self.array(np.broadcast_to(self._data(fill_value), shape).copy())

    def full_like(self, x: Array, fill_value: Any, **others: Any) -> Any:
        """`fill_value` in every place of an array of the shape of `x`."""
        return self.full(np.shape(self._data(x)), fill_value)

    def stack(self, parts: Any, axis: int = 0) -> Any:
        """Arrays of one shape along a new `axis`."""
        return self.array(np.stack([self._data(p) for p in parts], axis=axis))

    def sort(self, x: Array, axis: int | None = -1) -> Any:
        """The elements in ascending order along `axis`; of balls that overlap, enclosures of the sorted numbers."""
        if axis is None:
            return self.sort(self.array(self._data(x).ravel()))
        rows = np.moveaxis(self._data(x).copy(), axis, -1)
        for where in np.ndindex(rows.shape[:-1]):
            rows[where] = self.field.sort(list(rows[where]))
        return self.array(np.moveaxis(rows, -1, axis))

    def argsort(self, x: Array, axis: int = -1) -> np.ndarray:
        """The places of the elements in ascending order along `axis`; ties keep their order."""
        rows = np.moveaxis(self._data(x), axis, -1)
        places = np.empty(rows.shape, int)
        for where in np.ndindex(rows.shape[:-1]):
            places[where] = self.field.order(list(rows[where]))
        return np.moveaxis(places, -1, axis)

    def argmin(self, x: Array, axis: int | None = None) -> Any:
        """The first index of the smallest element along `axis`."""
        return self.argmax(-self.asarray(x), axis)

    def amin(self, x: Array, axis: Any = None, keepdims: bool = False) -> Any:
        """The smallest element over `axis`."""
        return -self.amax(-self.asarray(x), axis, keepdims)

    min = amin

    def clip(self, x: Array, low: Any = None, high: Any = None) -> Any:
        """`x`, or `low` where it is below, or `high` where it is above."""
        x = x if low is None else self.maximum(x, low)
        return x if high is None else self.minimum(x, high)

    def var(self, x: Array, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The variance over `axis`: the sum of squared deviations over n - ddof."""
        x = self.asarray(x)
        d = x - self.mean(x, axis, True)
        count = x.size // max(1, self.mean(x, axis).size)
        return self.sum(d * d, axis, keepdims) / (count - ddof)

    def std(self, x: Array, axis: Any = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The square root of the variance; balls have one."""
        return self.sqrt(self.var(x, axis, ddof, keepdims))

    def norm(self, x: Array, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
        """The Euclidean norm over `axis`; balls have one. Rational code compares squared norms."""
        x = self.asarray(x)
        axes = x.ndim if axis is None else np.size(axis)
        if ord is not None and (ord, axes) not in ((2, 1), ("fro", 2)):
            raise TypeError(f"norm: only the Euclidean norm, ord=None, is defined on exact arrays; got ord={ord!r}")
        return self.sqrt(self.sum(x * x, axis, keepdims))

    def vecdot(self, a: Array, b: Array, axis: int = -1) -> Any:
        """The sums of products along `axis`."""
        return self.sum(self.array(self._data(a)) * b, axis)

    def vdot(self, a: Array, b: Array) -> Any:
        """The sum of products of all elements."""
        return self.sum(self.array(self._data(a).ravel()) * self.array(self._data(b).ravel()))

    def dot(self, a: Array, b: Array) -> Any:
        """The product of numbers, vectors or matrices; stacks of matrices are the business of ``@``."""
        x, y = self.array(self._data(a)), self.array(self._data(b))
        if not x.ndim or not y.ndim:
            return x * y
        if x.ndim > 2 or y.ndim > 2:
            raise ShapeError(f"dot: expected at most two axes, got shapes {x.shape} and {y.shape}; use @ for stacks")
        return x @ y

    def conj(self, x: Array) -> Any:
        """`x` itself: exact numbers are real."""
        return self.asarray(x)

    def array_equal(self, a: Array, b: Array) -> bool:
        """Whether shapes and elements are equal."""
        x, y = self.asarray(a), self.asarray(b)
        return x.shape == y.shape and bool(np.all(x == y))

    def allclose(self, *given: Any, **options: Any) -> bool:
        """Refused: exact arrays are equal or not."""
        raise TypeError("exact arrays are compared with ==; how far floats are from them is refgrad.exact.error(y, x)")

    isclose = allclose

    def isnan(self, x: Array) -> Any:
        """Whether an element is no number at all: no rational is."""
        return np.zeros(np.shape(self._data(x)), bool)

    def inv(self, a: Array) -> Any:
        """The inverse of square matrices."""
        data = self._square(a, "inv")
        return self.solve(self.array(data), self.eye(data.shape[-1]))

    def matrix_power(self, a: Array, n: int) -> Any:
        """The n-th power of a square matrix; of its inverse where n is negative."""
        a = self.array(self._square(a, "matrix_power"))
        base, power = (self.inv(a) if n < 0 else a), self.eye(a.shape[-1])
        for bit in bin(abs(n))[2:]:
            power = self.matmul(power, power)
            power = self.matmul(power, base) if bit == "1" else power
        return power

    def numpy_function(self, function: Callable[..., Any]) -> Callable[..., Any] | None:
        """What NumPy's `function` does to exact arrays; None where it has no meaning for them."""
        name = function.__name__
        if name in PASSED_ON:
            return lambda *args, **kwargs: self.passed_on(function, args, kwargs)
        ours = getattr(self, {"concatenate": "concat"}.get(name, name), None)
        return None if name.startswith("_") or name in NOT_NUMPYS else ours

    def passed_on(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """NumPy's own `function` on the object arrays inside, its result made exact again."""
        result = function(*self._bare(args), **{k: self._bare(v) for k, v in kwargs.items()})
        return result if function.__name__ in ("ndim", "shape", "size") else self._wrap(result)

    def _bare(self, x: Any) -> Any:
        if isinstance(x, (list, tuple)):
            return type(x)(self._bare(e) for e in x)
        if isinstance(x, (float, np.floating)):
            self._data(x)  # which says what a float would do
        inexact = isinstance(x, np.ndarray) and x.dtype.kind not in "iub"
        return self._data(x) if inexact or isinstance(x, ElementArray) else x

    def _wrap(self, y: Any) -> Any:
        if isinstance(y, (list, tuple)):
            return type(y)(self._wrap(e) for e in y)
        # zeros and empty products come back as Python ints
        return self.array(lift(self.array._strict, np.asarray(y, object)))
