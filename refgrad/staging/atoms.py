"""What equations read, variables and constants alike: their shapes, dtypes and spans."""

from __future__ import annotations

from typing import Any

import numpy as np

from refgrad.autodiff.record import Atom, Equation, Variable
from refgrad.typing import Shape

__all__ = ["Span", "dtype_of", "long_axes", "shape_of", "span_of", "summed_axes"]

Span = tuple[int, ...]
"""Axes along which a factor is not the same all over, in ascending order."""


def shape_of(a: Atom) -> Shape:
    """The shape of a value or of a constant."""
    return a.shape if isinstance(a, Variable) else np.shape(a.value)


def dtype_of(a: Atom) -> Any:
    """The dtype; None for a Python number."""
    return a.dtype if isinstance(a, Variable) else getattr(a.value, "dtype", None)


def long_axes(shape: Shape) -> list[int]:
    """The lengths that are not 1."""
    return [n for n in shape if n != 1]


def span_of(factor: Atom, shape: Shape) -> Span:
    """The axes of `shape` along which a factor is not the same all over."""
    own = shape_of(factor)
    lead = len(shape) - len(own)
    return tuple(lead + i for i, n in enumerate(own) if n != 1)


def summed_axes(equation: Equation) -> tuple[int, ...]:
    """The axes of its input that a sum, or the transpose of broadcasting, sums over."""
    given = shape_of(equation.inputs[0])
    if equation.primitive.name == "sum":
        return tuple(equation.params["axis"])
    shape = equation.params["shape"]
    extra = len(given) - len(shape)
    return tuple(i for i, n in enumerate(given) if i < extra or (shape[i - extra] == 1 and n != 1))
