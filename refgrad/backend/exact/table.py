"""What the engine asks of exact arrays: the function table of one kind of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from refgrad.backend.base import ELEMENTWISE, Backend, shape_of
from refgrad.backend.exact import matrices
from refgrad.backend.exact.array import TABLES, ElementArray
from refgrad.backend.exact.field import box, lift
from refgrad.errors import InvalidInput, ShapeError, SingularMatrix
from refgrad.typing import Array, DType, Shape

__all__ = ["ElementBackend"]


class ElementBackend(Backend):
    """The functions of one kind of exact array."""

    exact = True

    def __init__(self, array: type[ElementArray]) -> None:
        self.array = array
        self.field = array.field
        self.name = array.field.name
        self.xp = self
        array.table = TABLES[self.name] = self
        for name in ELEMENTWISE:
            if not hasattr(type(self), name):
                setattr(self, name, partial(self._apply, name))

    def _data(self, x: Any) -> np.ndarray:
        data = self.array._coerce(x)
        if data is None:
            raise TypeError(f"expected {self.name} numbers, ints or Fractions; got {type(x).__name__}")
        return data

    def asarray(self, x: Any, dtype: Any = None) -> Any:
        """`x`, nested lists or an array of ints, floats, Fractions or strings, as an exact array."""
        del dtype
        if isinstance(x, self.array):
            return x
        if isinstance(x, ElementArray):
            if x.dtype == "ball":
                raise TypeError("a ball is no single number; refgrad.exact.bounds(x) gives two that enclose it")
            return self.array(lift(lambda e: self.field.element(x.field.fraction(e)), x.data))
        if isinstance(x, np.ndarray) and type(x) is not np.ndarray and x.dtype.kind not in "iub":
            raise InvalidInput(
                f"expected a plain array, got {type(x).__name__}; write numpy.asarray(x) if that is meant"
            )
        if isinstance(x, (list, tuple)) and any(isinstance(e, ElementArray) or np.ndim(e) for e in x):
            parts = [self.asarray(e).data for e in x]
            if len({p.shape for p in parts}) != 1:
                raise InvalidInput(f"expected rows of one shape, got shapes {[p.shape for p in parts]}")
            return self.array(np.stack(parts))
        return self.array(lift(self.field.element, np.array(x, object)))

    def abs(self, x: Array) -> Array:
        return abs(self.asarray(x))

    def sign(self, x: Array) -> Array:
        x = self.asarray(x)
        return self.where(x > 0, self.ones_like(x), self.where(x < 0, -self.ones_like(x), self.zeros_like(x)))

    def isfinite(self, x: Array) -> Array:
        return np.ones(self.asarray(x).shape, bool)

    def maximum(self, a: Array, b: Array) -> Array:
        return self.array(lift(self.field.maximum, self._data(a), self._data(b)))

    def minimum(self, a: Array, b: Array) -> Array:
        return -self.maximum(-self.array(self._data(a)), -self.array(self._data(b)))

    def where(self, condition: Array, a: Array, b: Array) -> Array:  # type: ignore[override]
        if isinstance(condition, ElementArray):
            condition = condition != 0
        return self.array(np.where(condition, self._data(a), self._data(b)))

    def matmul(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        return self.array(self._data(a)) @ b

    def logistic(self, x: Array) -> Array:
        return 1 / (1 + self.exp(-self.asarray(x)))

    def softplus(self, x: Array) -> Array:
        return self.log1p(self.exp(x))

    def weigh(self, a: Array, b: Array) -> Array:
        return self.asarray(a) * self.asarray(b)

    def sech_squared(self, x: Array, h: Array) -> Array:
        y = self.cosh(x)
        return self.ones_like(h) / (y * y)  # of the shape of both, though no h is needed

    def cosine(self, a: Array, b: Array) -> Array:
        return self.ratio(a, self.hypot(a, b))

    def polygamma(self, n: int, x: Array) -> Array:  # type: ignore[override]
        return self._apply("polygamma", x, n=n)

    def sinc(self, x: Array, n: int) -> Array:  # type: ignore[override]
        return self._apply("sinc", x, n=n)

    def _apply(self, name: str, *arrays: Array, **params: int) -> Array:
        if len(arrays) != (ELEMENTWISE[name].arguments if name in ELEMENTWISE else 1):
            raise TypeError(f"{name}: expected {ELEMENTWISE[name].arguments} argument(s), got {len(arrays)}")
        others = tuple(params.values())
        return self.array(lift(lambda *e: self.field.apply(name, *e, *others), *map(self._data, arrays)))

    def hypot(self, a: Array, b: Array) -> Array:
        a, b = self.asarray(a), self.asarray(b)
        return self.sqrt(a * a + b * b)

    def logaddexp(self, a: Array, b: Array) -> Array:
        return self.log(self.exp(a) + self.exp(b))

    def logaddexp2(self, a: Array, b: Array) -> Array:
        return self.log2(self.exp2(a) + self.exp2(b))

    def remainder(self, a: Array, b: Array) -> Array:
        a, b = self.asarray(a), self.asarray(b)
        return a - b * self.floor(a / b)

    def fmod(self, a: Array, b: Array) -> Array:
        a, b = self.asarray(a), self.asarray(b)
        times = self.floor(self.abs(a / b))
        return a - b * self.where(a / b < 0, -times, times)

    def floor(self, x: Array) -> Array:
        return self.array(lift(self.field.floor, self._data(x)))

    def ceil(self, x: Array) -> Array:
        return -self.floor(-self.asarray(x))

    def rint(self, x: Array) -> Array:
        return self.array(lift(self.field.rint, self._data(x)))

    def cumsum(self, x: Array, axis: int | None = None) -> Array:  # type: ignore[override]
        return self.array(np.cumsum(self._data(x), axis=axis))

    def cumprod(self, x: Array, axis: int | None = None) -> Array:  # type: ignore[override]
        return self.array(np.cumprod(self._data(x), axis=axis))

    def sum(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        data = self._data(x)
        y = np.add.reduce(data, axis=_axes(axis, data.ndim), keepdims=keepdims)  # type: ignore[call-overload]
        return self.array(np.full(np.shape(y), self.field.zero, object) if data.size == 0 else y)

    def mean(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        """The mean over `axis`."""
        x = self.asarray(x)
        return self.sum(x, axis, keepdims) / math.prod(x.shape[i] for i in _axes(axis, x.ndim))

    def amax(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        data = self._data(x)
        larger = np.frompyfunc(self.field.maximum, 2, 1)
        for i in sorted(_axes(axis, data.ndim), reverse=True):
            data = larger.reduce(data, axis=i, keepdims=keepdims)
        return self.array(data)

    max = amax

    def argmax(self, x: Array, axis: int | None = None) -> Array:
        data = self._data(x).ravel() if axis is None else np.moveaxis(self._data(x), axis, -1)
        best = np.zeros(data.shape[:-1], int)
        for where in np.ndindex(best.shape):
            row = data[where]
            for j in range(1, len(row)):
                if self.field.compare("<", row[best[where]], row[j]):
                    best[where] = j
        return best

    def reshape(self, x: Array, shape: Shape) -> Array:
        return self.array(self._data(x).reshape(shape))

    def transpose(self, x: Array, axes: tuple[int, ...] | None = None) -> Array:
        return self.array(np.transpose(self._data(x), axes))

    permute_dims = transpose

    def broadcast_to(self, x: Array, shape: Shape) -> Array:
        return self.array(np.broadcast_to(self._data(x), shape))

    def expand_dims(self, x: Array, axis: int) -> Array:
        return self.array(np.expand_dims(self._data(x), axis)) if isinstance(x, self.array) else np.expand_dims(x, axis)

    def squeeze(self, x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
        return self.array(np.squeeze(self._data(x), axis))

    def flip(self, x: Array, axes: tuple[int, ...]) -> Array:
        return self.array(np.flip(self._data(x), axes))

    def tri_mask(self, x: Array, part: str, k: int) -> Array:
        inside = getattr(np, part)(np.ones(shape_of(x)[-2:], bool), k)
        return self.where(inside, x, 0)

    def concat(self, parts: Sequence[Array], axis: int = 0) -> Array:
        return self.array(np.concatenate([self._data(p) for p in parts], axis=axis))

    def take(self, x: Array, indices: Array, axis: int | None = None) -> Array:
        return self.array(np.take(self._data(x), indices, axis=axis))

    def scatter_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        lead, tail = g.shape[:axis], g.shape[axis + indices.ndim :]
        y = np.full((*lead, size, *tail), self.field.zero, object)
        at: Any = (slice(None),) * axis + (indices,)
        np.add.at(y, at, self._data(g))
        return self.array(y)

    def take_along_axis(self, x: Array, indices: Array, axis: int) -> Array:
        return self.array(np.take_along_axis(self._data(x), indices, axis=axis))

    def put_along_axis_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        y = np.full(g.shape[:axis] + (size,) + g.shape[axis + 1 :], self.field.zero, object)
        index = list(np.ogrid[tuple(slice(n) for n in g.shape)])
        index[axis] = indices
        np.add.at(y, tuple(index), self._data(g))
        return self.array(y)

    def solve(self, a: Array, b: Array) -> Array:
        a_data, b_data = self._square(a, "solve"), self._data(b)
        if b_data.ndim == 1:
            return self.solve(a, self.array(b_data[:, None]))[..., 0]
        if b_data.ndim < 2 or b_data.shape[-2] != a_data.shape[-1]:
            raise ShapeError(
                f"solve: expected shapes (..., n, n) and (..., n, k), got {a_data.shape} and {b_data.shape}"
            )
        return self._each(lambda field, m, right: field.solve(m, right), a_data, b_data)

    def least_squares(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        at = a.mT
        m, n = shape_of(a)[-2:]
        try:
            if m >= n:
                return self.solve(self.matmul(at, a), self.matmul(at, b))
            return self.matmul(at, self.solve(self.matmul(a, at), b))
        except SingularMatrix as error:
            raise type(error)(f"lstsq, pinv: expected full rank; of the product by its transpose, {error}") from None

    def solve_triangular(self, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
        if not unit_diagonal:
            matrices.require_pivots(self.field, self._data(a))
        return super().solve_triangular(a, b, lower, unit_diagonal)

    def det(self, a: Array) -> Array:
        data = self._square(a, "det")
        batch = data.shape[:-2]
        stack = data.reshape(math.prod(batch), *data.shape[-2:])
        return self.array(np.fromiter(map(self.field.det, stack), object, math.prod(batch)).reshape(batch))

    def log_abs_det(self, a: Array) -> Array:
        return self.log(self.abs(self.det(a)))

    def det_sign(self, a: Array) -> Array:
        return self.sign(self.det(a))

    def cofactor(self, a: Array, *directions: Array) -> Array:  # type: ignore[override]
        return self._each(matrices.cofactor, *map(self._data, (a, *directions)))

    def cholesky(self, a: Array) -> Array:
        return self._each(matrices.cholesky, self._data(self.mirror(a)))

    def mirror(self, a: Array, uplo: str = "L") -> Array:
        """The symmetric matrix with the lower triangle of `a`, or with its upper one."""
        a = a if uplo == "L" else a.mT
        return self.tri_mask(a, "tril", 0) + self.tri_mask(a, "tril", -1).mT

    def orthonormal(self, a: Array) -> Array:
        return self._each(matrices.orthonormal, self._data(a))

    def triangular_factor(self, a: Array) -> Array:
        return self._each(matrices.triangular_factor, self._data(a))

    def eigenvalues(self, a: Array, uplo: str) -> Array:
        return self._each(lambda field, m: box(field.eigenvalues(m)), self._data(self.mirror(a, uplo)))

    def eigenvectors(self, a: Array, uplo: str) -> Array:
        return self._each(matrices.eigenvectors, self._data(self.mirror(a, uplo)))

    def _each(self, function: Callable[..., np.ndarray], *stacks: np.ndarray) -> Array:
        return self.array(matrices.each(self.field, function, *stacks))

    def ratio(self, a: Array, b: Array) -> Array:
        a, b = self.array(self._data(a)), self.array(self._data(b))
        nothing = np.asarray(b == 0)
        if np.any(nothing & np.asarray(a != 0)):
            raise ZeroDivisionError("ratio: expected 0 or a divisor other than 0")
        return a / self.array(np.where(nothing, box(self.field.one), b.data))

    def _square(self, a: Array, what: str) -> np.ndarray:
        """The elements of a square matrix, or of a stack of them."""
        data = self._data(a)
        if data.ndim < 2 or data.shape[-1] != data.shape[-2]:
            raise ShapeError(f"{what}: expected a square matrix, shape (..., n, n); got {data.shape}")
        return data

    def ones(self, shape: Shape, dtype: Any = None, **others: Any) -> Array:
        """Ones of `shape`."""
        return self.array(np.full(shape, self.field.one, object))

    # NumPy hands on its defaults of dtype, order and device, which mean nothing here

    def zeros(self, shape: Shape, like: Array = None, **others: Any) -> Array:
        return self.array(np.full(shape, self.field.zero, object))

    def euclidean_norm(self, x: Array, e: Array = 0, *, axis: tuple[int, ...], keepdims: bool) -> Array:
        squares = self.sum(x * x, axis, True) + e
        kept = tuple(n for i, n in enumerate(shape_of(x)) if i not in axis)
        return self.sqrt(squares if keepdims else self.reshape(squares, kept))

    def copy(self, x: Array) -> Array:
        return type(x)(x.data.copy()) if hasattr(x, "data") else x

    def zeros_like(self, x: Array, **others: Any) -> Array:
        return self.zeros(shape_of(x))

    def ones_like(self, x: Array, **others: Any) -> Array:
        return self.ones(shape_of(x))

    def indices(self, n: int, like: Array = None) -> Array:
        return np.arange(n)

    def astype(self, x: Array, dtype: DType) -> Array:
        return x if dtype == self.name else x.astype(dtype)

    def is_real(self, x: Array) -> bool:
        return isinstance(x, self.array)


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, tuple) else (axis,)
    if not all(-ndim <= a < ndim for a in given) or len({a % ndim for a in given}) != len(given):
        raise ShapeError(f"expected different axes between {-ndim} and {ndim - 1}, got {axis!r}")
    return tuple(a % ndim for a in given)
