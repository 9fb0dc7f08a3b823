"""Any library that follows the Python array API standard to the letter, such as array-api-strict.

Nothing here goes beyond the standard, so that a rule which runs on this table runs on any conforming library.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refgrad.backend import numpy_text
from refgrad.backend.base import ELEMENTWISE, Backend, Elementwise
from refgrad.backend.numpy import NUMPY
from refgrad.errors import SingularMatrix
from refgrad.typing import Array, Shape

__all__ = ["ArrayAPI"]


class ArrayAPI(Backend):
    """The table of a conforming namespace `xp`."""

    name = "array_api"

    def __init__(self, xp: Any) -> None:
        self.xp, self.matmul = xp, xp.matmul
        for name, row in ELEMENTWISE.items():
            if name not in vars(type(self)):
                setattr(self, name, self._function(name, row))

    def _function(self, name: str, row: Elementwise) -> Callable[..., Array]:
        """An elementwise function of the standard; by way of NumPy where the standard has none."""
        if row.standard is None:
            return lambda *arrays: self.xp.asarray(getattr(NUMPY, name)(*map(np.asarray, arrays)))
        # an older edition of the standard lacks some, which is no matter until they are called
        function: Callable[..., Array] | None = getattr(self.xp, row.standard, None)
        if function is None:
            return partial(self._refuse, name)
        return function if row.arguments == 1 else lambda a, b: function(*self._arrays(a, b))

    def _refuse(self, name: str, *arrays: Array) -> Array:
        raise AttributeError(f"{self.xp.__name__} has no function {ELEMENTWISE[name].standard!r}")

    def polygamma(self, n: int, x: Array) -> Array:  # type: ignore[override]
        return self.xp.asarray(NUMPY.polygamma(n, np.asarray(x)))

    def sinc(self, x: Array, n: int) -> Array:  # type: ignore[override]
        return self.xp.asarray(NUMPY.sinc(np.asarray(x), n))

    def euclidean_norm(self, *arrays: Array, axis: tuple[int, ...], keepdims: bool) -> Array:  # type: ignore[override]
        return self.xp.asarray(NUMPY.euclidean_norm(*map(np.asarray, arrays), axis=axis, keepdims=keepdims))

    def exp2(self, x: Array) -> Array:
        return self.xp.exp(x * math.log(2))

    # the standard asks for arrays of one kind where NumPy takes Python numbers too
    def where(self, condition: Array, a: Array, b: Array) -> Array:  # type: ignore[override]
        return self.xp.where(condition, *self._arrays(a, b))

    def ratio(self, a: Array, b: Array) -> Array:
        return super().ratio(*self._arrays(a, b))

    def _arrays(self, a: Array, b: Array) -> tuple[Array, Array]:
        if not hasattr(a, "dtype"):
            a = self.xp.asarray(a, dtype=getattr(b, "dtype", None))
        if not hasattr(b, "dtype"):
            b = self.xp.asarray(b, dtype=a.dtype)
        return a, b

    def pad(self, x: Array, shape: Shape, index: tuple[slice, ...]) -> Array:
        y = self.zeros(shape, x)
        y[index if index else ...] = x
        return y

    def solve(self, a: Array, b: Array) -> Array:
        try:
            return self.xp.linalg.solve(a, b)
        except (ArithmeticError, ValueError) as error:  # the standard does not say which
            raise SingularMatrix(f"solve: expected an invertible matrix of shape {a.shape}; {error}") from None

    def solve_triangular(self, a: Array, b: Array, lower: bool, unit_diagonal: bool) -> Array:
        if not unit_diagonal and bool(self.xp.any(self.xp.linalg.diagonal(a) == 0)):
            raise SingularMatrix("solve_triangular: expected a diagonal without zeros")
        return super().solve_triangular(a, b, lower, unit_diagonal)

    # the standard does not say which triangle of a symmetric matrix is read, nor has it what follows, by way of NumPy

    def cholesky(self, a: Array) -> Array:
        return super().cholesky(self._mirror(a, "L"))

    def eigenvalues(self, a: Array, uplo: str) -> Array:
        return self._decompose(lambda: self.xp.linalg.eigvalsh(self._mirror(a, uplo)))

    def eigenvectors(self, a: Array, uplo: str) -> Array:
        return self._decompose(lambda: self.xp.linalg.eigh(self._mirror(a, uplo))[1])

    def _mirror(self, a: Array, uplo: str) -> Array:
        a = a if uplo == "L" else a.mT
        return self.tri_mask(a, "tril", 0) + self.tri_mask(a, "tril", -1).mT

    def least_squares(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        return self.xp.asarray(NUMPY.least_squares(np.asarray(a), np.asarray(b)))

    def cofactor(self, a: Array, *directions: Array) -> Array:  # type: ignore[override]
        # by way of NumPy, for an array on its device
        return self.xp.asarray(numpy_text.cofactor(*(np.asarray(x) for x in (a, *directions))))  # type: ignore[no-untyped-call]
