"""CuPy: NumPy's functions on an NVIDIA GPU. Imported the first time a CuPy array is met.

Where CuPy differs from NumPy and a wrong answer would follow, this table differs too:

1. its linear algebra returns garbage for a singular matrix unless told to raise;
2. `solve` wants equal batch shapes, so they are broadcast here first;
3. an index out of range wraps silently, so indices are checked here;
4. sums by `cupy.add.at` use atomics: the last bit of a scatter with repeated indices may differ from run to run.
"""

from __future__ import annotations

import cupy
import cupyx
from cupyx.scipy import special

from refgrad.backend import numpy_text
from refgrad.backend.base import Backend, adopt
from refgrad.errors import InvalidInput, SingularMatrix
from refgrad.typing import Array, DType

__all__ = ["CUPY", "CuPy"]


class CuPy(Backend):
    """The table of CuPy functions. Zero-dimensional results stay on the device."""

    name = "cupy"
    xp = cupy

    where = staticmethod(cupy.where)
    matmul = staticmethod(cupy.matmul)
    # of NumPy's names, which CuPy's arrays take as their own
    euclidean_norm = staticmethod(numpy_text.norm)
    sinc = staticmethod(numpy_text.sinc)

    def erf(self, x: Array) -> Array:
        return special.erf(x).astype(x.dtype)

    def erfc(self, x: Array) -> Array:
        return special.erfc(x).astype(x.dtype)

    def sech_squared(self, x: Array, h: Array) -> Array:
        e = cupy.exp(-cupy.abs(x))  # everywhere: to ask first where h is nearly 1 would wait for the device
        return (2 * e / (1 + e * e)) ** 2

    def weigh(self, a: Array, b: Array) -> Array:
        y = a * b  # to ask first whether there is a NaN would wait for the device
        return cupy.where(cupy.isnan(y) & (a == a) & (b == b), 0, y)

    def lgamma(self, x: Array) -> Array:
        return special.gammaln(x).astype(x.dtype)

    def xlogy(self, x: Array, y: Array) -> Array:
        return special.xlogy(x, y)

    def xlog1py(self, x: Array, y: Array) -> Array:
        return special.xlog1py(x, y)

    def polygamma(self, n: int, x: Array) -> Array:
        return special.polygamma(n, x).astype(x.dtype)

    def cumsum(self, x: Array, axis: int) -> Array:
        return cupy.cumsum(x, axis=axis)

    def cumprod(self, x: Array, axis: int) -> Array:
        return cupy.cumprod(x, axis=axis)

    def take(self, x: Array, indices: Array, axis: int) -> Array:
        return cupy.take(x, self._check_range(indices, x.shape[axis]), axis=axis)

    def scatter_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        lead, tail = g.shape[:axis], g.shape[axis + indices.ndim :]
        y = cupy.zeros((*lead, size, *tail), g.dtype)
        cupy.add.at(y, (slice(None),) * axis + (cupy.asarray(indices),), g)
        return y

    def take_along_axis(self, x: Array, indices: Array, axis: int) -> Array:
        return cupy.take_along_axis(x, self._check_range(indices, x.shape[axis]), axis=axis)

    def put_along_axis_add(self, g: Array, indices: Array, axis: int, size: int) -> Array:
        y = cupy.zeros(g.shape[:axis] + (size,) + g.shape[axis + 1 :], g.dtype)
        index = [cupy.arange(n).reshape((1,) * i + (n,) + (1,) * (g.ndim - i - 1)) for i, n in enumerate(g.shape)]
        index[axis] = cupy.asarray(indices)
        cupy.add.at(y, tuple(index), g)
        return y

    def solve(self, a: Array, b: Array) -> Array:
        batch = cupy.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        a = cupy.broadcast_to(a, batch + a.shape[-2:])
        b = cupy.broadcast_to(b, batch + b.shape[-2:])
        try:
            with cupyx.errstate(linalg="raise"):
                return cupy.linalg.solve(a, b)
        except cupy.linalg.LinAlgError as error:
            raise SingularMatrix(f"solve: expected an invertible matrix of shape {a.shape}; {error}") from None

    def least_squares(self, a: Array, b: Array) -> Array:
        try:
            return numpy_text.least_squares(a, b)  # type: ignore[no-untyped-call]
        except cupy.linalg.LinAlgError as error:
            raise SingularMatrix(f"lstsq, pinv: {error}") from None

    def solve_triangular(self, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
        if not unit_diagonal and bool((a.diagonal(axis1=-2, axis2=-1) == 0).any()):
            raise SingularMatrix("solve_triangular: expected a diagonal without zeros")
        return super().solve_triangular(a, b, lower, unit_diagonal)

    def cholesky(self, a: Array) -> Array:
        with cupyx.errstate(linalg="raise"):
            return super().cholesky(a)

    cofactor = staticmethod(numpy_text.cofactor)  # NumPy's functions hand CuPy's arrays on to CuPy

    def copy(self, x: Array) -> Array:
        return x.copy(order="K") if isinstance(x, self.xp.ndarray) else x

    def astype(self, x: Array, dtype: DType) -> Array:
        return x.astype(dtype)

    def is_real(self, x: Array) -> bool:
        return x.dtype.kind == "f"  # type: ignore[no-any-return]

    def _check_range(self, indices: Array, size: int) -> Array:
        indices = cupy.asarray(indices)
        if indices.size and bool(((indices < -size) | (indices >= size)).any()):
            raise InvalidInput(
                f"take: expected indices from {-size} to {size - 1}, the length of the axis being {size}"
            )
        return indices


adopt(CuPy, cupy, numpy_text)  # NumPy's functions hand CuPy's arrays on to CuPy
CUPY = CuPy()
