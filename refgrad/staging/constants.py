"""The constants of a program: which array each one is, and how it is written."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad.autodiff.record import Constant
from refgrad.staging.expressions import is_uniform, literal

__all__ = ["LARGEST_LITERAL", "Constants"]

LARGEST_LITERAL = 1000
"""Arrays of more elements are handed to an exported function as keyword arguments."""


class Constants:
    """The arrays and NumPy numbers of a program, each once, by name.

    A constant keeps the order of its axes in memory, on which the last bits of a matrix product or a sum may depend:
    the transpose of a row-major array ``X`` is written ``X.T``. A program of this process keeps gaps between elements
    as well, those of a column ``X[:, 0]``; in a module of its own such an array is written without them.
    """

    def __init__(self, exported: bool) -> None:
        self.exported = exported
        self.values: dict[str, Any] = {}
        self._names: dict[Any, str] = {}

    def expression(self, constant: Constant, wanted: Any) -> ast.expr:
        """What stands for `constant`; `wanted` gives a free name to an array not met before."""
        value = constant.value
        if not isinstance(value, (np.ndarray, np.generic)):
            return literal(value)
        base, suffix = _rows_first(value) if isinstance(value, np.ndarray) else (value, "")
        if not self.exported and isinstance(value, np.ndarray) and not _has_strides_of(value, base):
            base, suffix = value, ""
        key = (type(base), base.dtype.str, base.shape, base.strides, base.tobytes())
        if key not in self._names:
            self._names[key] = wanted()
            self.values[self._names[key]] = base
        return ast.parse(f"{self._names[key]}{suffix}", mode="eval").body

    @property
    def arguments(self) -> list[str]:
        """The names of those too large to be written out."""
        return [n for n, v in self.values.items() if np.size(v) > LARGEST_LITERAL and not is_uniform(v)]

    def definitions(self, given: Sequence[str]) -> list[str]:
        """The lines that define all but the `given` ones."""
        return [f"{n} = {ast.unparse(literal(v))}" for n, v in self.values.items() if n not in given]


def _has_strides_of(value: Any, base: Any) -> bool:
    """Whether `value` has no gaps, which `base` certainly does not have."""
    return sorted(s for s, n in zip(value.strides, value.shape, strict=True) if n != 1) == sorted(
        s for s, n in zip(base.strides, base.shape, strict=True) if n != 1
    )


def _rows_first(value: np.ndarray) -> tuple[np.ndarray, str]:
    """An array in row-major order, and what turns it into `value` without moving anything."""
    if value.flags.c_contiguous:
        return value, ""
    order = sorted(range(value.ndim), key=lambda i: -abs(value.strides[i]))
    base = np.ascontiguousarray(value.transpose(order))
    back = tuple(order.index(i) for i in range(value.ndim))
    return base, ".T" if back == tuple(reversed(range(value.ndim))) else f".transpose({back})"
