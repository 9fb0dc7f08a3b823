"""Names for what refgrad's functions take and return.

Arrays of NumPy, CuPy, exact arithmetic and traced values share no common base class, so `Array` is `Any`
to the type checker; the docstrings state shapes and dtypes, and the functions check them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

__all__ = ["Array", "Axes", "DType", "Scalar", "ScalarFunction", "Shape", "Tree"]

Array: TypeAlias = Any
"""An array of any backend, or a traced value standing for one."""

Scalar: TypeAlias = Any
"""A Python number or an array of shape ()."""

Tree: TypeAlias = Any
"""Arrays in nested dicts, lists, tuples, namedtuples and dataclasses; a bare array is a tree."""

DType: TypeAlias = Any
"""The type of an array's elements."""

Shape: TypeAlias = tuple[int, ...]
"""The lengths of an array's axes."""

Axes: TypeAlias = int | tuple[int, ...] | None
"""One axis, several, or all."""

ScalarFunction: TypeAlias = Callable[..., Scalar]
"""A function of trees that returns one number, such as a loss."""
