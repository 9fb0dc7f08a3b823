"""NumPy: the default array library. Renames, and the fast forms of the scattering functions."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.backend.base import Backend
from refgrad.errors import SingularMatrix
from refgrad.typing import Array, DType, Shape

__all__ = ["NUMPY", "NumPy"]


class NumPy(Backend):
    """The table of NumPy functions. Zero-dimensional results may be NumPy scalars."""

    name = "numpy"
    xp = np

    exp = staticmethod(np.exp)
    log = staticmethod(np.log)
    tanh = staticmethod(np.tanh)
    sqrt = staticmethod(np.sqrt)
    expm1 = staticmethod(np.expm1)
    log1p = staticmethod(np.log1p)
    arctan = staticmethod(np.arctan)
    sin = staticmethod(np.sin)
    cos = staticmethod(np.cos)
    abs = staticmethod(np.absolute)
    sign = staticmethod(np.sign)
    isfinite = staticmethod(np.isfinite)
    maximum = staticmethod(np.maximum)
    minimum = staticmethod(np.minimum)
    where = staticmethod(np.where)
    matmul = staticmethod(np.matmul)

    def sum(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        return np.add.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]

    def amax(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        return np.maximum.reduce(x, axis=axis, keepdims=keepdims)  # type: ignore[call-overload]

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape) if isinstance(x, np.ndarray) else np.reshape(x, shape)

    def transpose(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.transpose(x, axes) if isinstance(x, float) else x.transpose(axes)

    def broadcast_to(self, x: Array, shape: Shape) -> Array:
        # an array of its own: np.broadcast_to takes five times as long for a small one, and its view is read-only
        y = np.empty(shape, np.asarray(x).dtype)
        y[...] = x
        return y

    def cumsum(self, x: Array, axis: int) -> Array:
        return np.cumsum(x, axis=axis)

    def cumprod(self, x: Array, axis: int) -> Array:
        return np.cumprod(x, axis=axis)

    def take(self, x: Array, indices: Array, axis: int) -> Array:
        return np.take(x, indices, axis=axis)

    def scatter_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        g = np.asarray(g)
        lead, tail = g.shape[:axis], g.shape[axis + indices.ndim :]
        y = np.zeros((*lead, size, *tail), g.dtype)
        # add.at accumulates over repeated indices, where y[...] += g would keep the last one
        at: Any = (slice(None),) * axis + (indices,)
        np.add.at(y, at, g)
        return y

    def put_along_axis_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        g = np.asarray(g)
        y = np.zeros(g.shape[:axis] + (size,) + g.shape[axis + 1 :], g.dtype)
        index = list(np.ogrid[tuple(slice(n) for n in g.shape)])
        index[axis] = indices
        np.add.at(y, tuple(index), g)
        return y

    def pad(self, x: Array, shape: Shape, index: tuple[slice, ...]) -> Array:
        y = np.zeros(shape, x.dtype)
        y[index] = x
        return y

    def solve(self, a: Array, b: Array) -> Array:
        try:
            return np.linalg.solve(a, b)
        except np.linalg.LinAlgError as error:
            raise SingularMatrix(f"solve: expected an invertible matrix of shape {a.shape}; {error}") from None

    def astype(self, x: Array, dtype: DType) -> Array:
        return np.asarray(x).astype(dtype)

    def is_real(self, x: Array) -> bool:
        return x.dtype.kind == "f"  # type: ignore[no-any-return]


NUMPY = NumPy()
