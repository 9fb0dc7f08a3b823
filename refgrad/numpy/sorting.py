"""Sorting: the order is looked up and has no derivative; the elements are then taken in that order."""

from __future__ import annotations

import math
from typing import Any

from refgrad.autodiff.rules import order, shape
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput
from refgrad.numpy.conversion import asarray
from refgrad.numpy.indexing import take_along_axis
from refgrad.numpy.reductions import axes_of
from refgrad.typing import Array

__all__ = ["argsort", "sort"]


def argsort(x: Any, axis: int | None = -1, *, kind: str | None = None, stable: bool | None = None) -> Array:
    """The places of the elements in ascending order along `axis`, or in the raveled x; equal ones keep their order."""
    x, place = _line(x, axis if shape_of(asarray(x)) else None, kind)  # a number is a vector of one
    return order.argsort(x, axis=place)


def sort(x: Any, axis: int | None = -1, *, kind: str | None = None, stable: bool | None = None) -> Array:
    """The elements in ascending order along `axis`, or those of the raveled x.

    The derivative moves with the elements; equal ones stay in their order, whatever `kind` NumPy would choose.
    """
    x, place = _line(x, axis, kind)
    return take_along_axis(x, order.argsort(x, axis=place), place)


def _line(x: Any, axis: int | None, kind: str | None) -> tuple[Array, int]:
    if kind not in (None, "stable", "quicksort", "mergesort", "heapsort"):
        raise InvalidInput(f"sort: expected a kind of NumPy's, got {kind!r}")
    x = asarray(x)
    if axis is None:
        return shape.reshape(x, shape=(math.prod(shape_of(x)),)), 0
    return x, axes_of(x, axis, "sort")[0]
