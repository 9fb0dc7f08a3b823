"""Any library that follows the Python array API standard to the letter, such as array-api-strict.

Nothing here goes beyond the standard, so that a rule which runs on this table runs on any conforming library.
"""

from __future__ import annotations

from typing import Any

from refgrad.backend.base import Backend
from refgrad.errors import SingularMatrix
from refgrad.typing import Array, Shape

__all__ = ["Standard"]


class Standard(Backend):
    """The table of a conforming namespace `xp`."""

    name = "standard"

    def __init__(self, xp: Any) -> None:
        self.xp = xp
        for name in ("exp", "expm1", "log", "log1p", "tanh", "sqrt", "sin", "cos", "abs", "sign", "isfinite", "matmul"):
            setattr(self, name, getattr(xp, name))
        self.arctan = xp.atan

    # the standard asks for arrays of one kind where NumPy takes Python numbers too
    def where(self, condition: Array, a: Array, b: Array) -> Array:  # type: ignore[override]
        return self.xp.where(condition, *self._arrays(a, b))

    def maximum(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        return self.xp.maximum(*self._arrays(a, b))

    def minimum(self, a: Array, b: Array) -> Array:  # type: ignore[override]
        return self.xp.minimum(*self._arrays(a, b))

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
