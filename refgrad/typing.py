"""Names for what refgrad's functions take and return.

Arrays of NumPy, CuPy, exact arithmetic and traced values share no common base class, so `Array` is `Any`
to the type checker; the docstrings state shapes and dtypes, and the functions check them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of any backend, or a traced value standing for one."""

Scalar: TypeAlias = Any
"""A Python number or an array of shape ()."""

Tree: TypeAlias = Any
"""Arrays in nested dicts, lists, tuples, namedtuples and dataclasses; a bare array is a tree."""

DType: TypeAlias = Any
Shape: TypeAlias = tuple[int, ...]
Axes: TypeAlias = int | tuple[int, ...] | None

ScalarFunction: TypeAlias = Callable[..., Scalar]
"""A function of trees that returns one number, such as a loss."""
