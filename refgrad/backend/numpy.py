"""NumPy: the default array library. Renames; what NumPy has not is in `refgrad.backend.numpy_text`."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.backend import numpy_text
from refgrad.backend.base import Backend, adopt
from refgrad.errors import SingularMatrix
from refgrad.typing import Array, DType, Shape

__all__ = ["NUMPY", "NumPy"]


class NumPy(Backend):
    """The table of NumPy functions. Zero-dimensional results may be NumPy scalars."""

    name = "numpy"
    xp = np

    where = staticmethod(np.where)
    matmul = staticmethod(np.matmul)
    broadcast_to = staticmethod(numpy_text.broadcast_to)
    logistic = staticmethod(numpy_text.logistic)
    softplus = staticmethod(numpy_text.softplus)
    logsumexp = staticmethod(numpy_text.logsumexp)
    pad = staticmethod(numpy_text.pad)
    windows = staticmethod(numpy_text.windows)
    fold = staticmethod(numpy_text.fold)
    scatter_add = staticmethod(numpy_text.scatter_add)
    put_along_axis_add = staticmethod(numpy_text.put_along_axis_add)
    recurrence = staticmethod(numpy_text.recurrence)
    cofactor = staticmethod(numpy_text.cofactor)
    euclidean_norm = staticmethod(numpy_text.norm)
    ratio = staticmethod(numpy_text.ratio)
    sinc = staticmethod(numpy_text.sinc)

    def erf(self, x: Array) -> Array:
        return _special().erf(x)

    def erfc(self, x: Array) -> Array:
        return _special().erfc(x)

    def lgamma(self, x: Array) -> Array:
        return _special().lgamma(x)

    def xlogy(self, x: Array, y: Array) -> Array:
        return _special().xlogy(x, y)

    def xlog1py(self, x: Array, y: Array) -> Array:
        return _special().xlog1py(x, y)

    def polygamma(self, n: int, x: Array) -> Array:  # type: ignore[override]
        return _special().polygamma(n, x)

    def sum(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        # keepdims=False, said aloud, makes the sum of a small array cost half as much again
        return np.add.reduce(x, axis=axis, keepdims=True) if keepdims else np.add.reduce(x, axis=axis)  # type: ignore[call-overload]

    def amax(self, x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        return np.maximum.reduce(x, axis=axis, keepdims=True) if keepdims else np.maximum.reduce(x, axis=axis)  # type: ignore[call-overload]

    def argsort(self, x: Array, axis: int) -> Array:
        return np.argsort(x, axis=axis, kind="stable")

    def reshape(self, x: Array, shape: Shape) -> Array:
        return x.reshape(shape) if isinstance(x, np.ndarray) else np.reshape(x, shape)

    def transpose(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.transpose(x, axes) if isinstance(x, float) else x.transpose(axes)

    def cumsum(self, x: Array, axis: int) -> Array:
        return np.cumsum(x, axis=axis)

    def cumprod(self, x: Array, axis: int) -> Array:
        return np.cumprod(x, axis=axis)

    def take(self, x: Array, indices: Array, axis: int) -> Array:
        return np.take(x, indices, axis=axis)

    def einsum(self, subscripts: str, a: Array, b: Array) -> Array:
        return np.einsum(subscripts, a, b, optimize=True)

    def solve(self, a: Array, b: Array) -> Array:
        try:
            return np.linalg.solve(a, b)
        except np.linalg.LinAlgError as error:
            raise SingularMatrix(f"solve: expected an invertible matrix of shape {a.shape}; {error}") from None

    def ones_like(self, x: Array) -> Array:
        # every gradient begins with the one like a number, which so takes a tenth of the time
        return type(x)(1) if isinstance(x, np.generic) else np.ones_like(x)

    def least_squares(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        try:
            return numpy_text.least_squares(a, b)  # type: ignore[no-untyped-call]
        except np.linalg.LinAlgError as error:
            raise SingularMatrix(f"lstsq, pinv: {error}") from None

    def solve_triangular(self, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
        try:
            return numpy_text.solve_triangular(a, b, lower, unit_diagonal)  # type: ignore[no-untyped-call]
        except np.linalg.LinAlgError as error:
            raise SingularMatrix(f"solve_triangular: {error}") from None

    def copy(self, x: Array) -> Array:
        return x.copy(order="K") if isinstance(x, self.xp.ndarray) else x

    def astype(self, x: Array, dtype: DType) -> Array:
        return np.asarray(x).astype(dtype)

    def is_real(self, x: Array) -> bool:
        return x.dtype.kind == "f"  # type: ignore[no-any-return]


def _special() -> Any:
    # SciPy is loaded by the first who needs it
    from refgrad.backend import special

    return special


adopt(NumPy, np, numpy_text)
NUMPY = NumPy()
