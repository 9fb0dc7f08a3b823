"""Array creation from a few numbers, which may be traced: constants, equal distances, rows of the identity."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff import primitive
from refgrad.autodiff.core import Tracer, primal
from refgrad.autodiff.rules import elementwise
from refgrad.autodiff.rules import shape as rules
from refgrad.backend import shape_of
from refgrad.errors import InvalidInput
from refgrad.numpy.conversion import asarray, floating
from refgrad.numpy.joining import concatenate
from refgrad.numpy.shapes import broadcast_to, moveaxis
from refgrad.typing import Array, DType

__all__ = ["array", "full", "full_like", "linspace", "one_hot"]


def array(x: Any) -> Array:
    """x as an array of its own: numbers, arrays and nested sequences of them, traced ones among them."""
    return asarray(x)


def full(shape: int | Sequence[int], fill_value: Any) -> Array:
    """`fill_value` in every place of an array of `shape`; a traced value keeps its derivative."""
    return broadcast_to(asarray(fill_value), (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape))


def full_like(x: Any, fill_value: Any) -> Array:
    """`fill_value` in every place of an array of the shape and dtype of x; a traced value keeps its derivative."""
    ones, value = primitive.ones_like(asarray(x)), asarray(fill_value)
    if not isinstance(value, Tracer):
        return backend.of(ones).xp.full_like(ones, value)
    return ones * (elementwise.astype(value, dtype=ones.dtype) if value.dtype != ones.dtype else value)


def number_like(x: Any, n: int) -> Array:
    """The integer n as a number in the dtype of x, so that what is computed from it is as exact as x is."""
    plain = primal(x)
    return backend.of(plain).zeros((), plain) + n if hasattr(plain, "dtype") else n


def linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, *, axis: int = 0
) -> Any:
    """`num` numbers at equal distances from `start` to `stop`, along a new axis if those are arrays.

    Parameters
    ----------
    start, stop : numbers or arrays
        Broadcast against each other; both may be traced.
    num : int
    endpoint : bool
        Whether the last number is `stop`, or one step before it.
    retstep : bool
        Whether to return the pair of the numbers and the step.
    axis : int
        The place of the new axis in the result.
    """
    if num < 0:
        raise InvalidInput(f"linspace: expected a count that is not negative, got {num}")
    start, stop = floating(start), floating(stop)
    gaps = num - 1 if endpoint else num
    step = (stop - start) / (gaps if gaps > 0 else 1)
    plain = primal(step)
    xp = backend.of(plain)
    places = rules.reshape(xp.indices(num, plain), shape=(num,) + (1,) * len(shape_of(step)))
    if not xp.exact and hasattr(plain, "dtype"):
        places = xp.astype(places, plain.dtype)
    y = start + places * step
    if endpoint and num > 1:  # the last one exactly, whatever rounding did
        last = rules.reshape(stop * primitive.ones_like(step), shape=(1, *shape_of(step)))
        y = concatenate([y[:-1], last], 0)
    y = moveaxis(y, 0, axis)
    return (y, step) if retstep else y


def one_hot(labels: Any, size: int, dtype: DType = np.float64) -> Array:
    """Rows of the identity, one for each label, shape (..., size); zeros where a label is not from 0 to ``size - 1``.

    Parameters
    ----------
    labels : array of integers, shape (...)
    size : int
    dtype : dtype
    """
    labels = asarray(labels)
    if isinstance(labels, float) or getattr(getattr(labels, "dtype", None), "kind", "i") not in "iu":
        raise InvalidInput(f"one_hot: expected integer labels, got {getattr(labels, 'dtype', labels)!s}")
    value = primal(np.asarray(labels) if isinstance(labels, int) else labels)
    xp = backend.of(value)
    hits = rules.reshape(labels, shape=(*shape_of(labels), 1)) == xp.indices(size, value)
    return elementwise.astype(hits, dtype=dtype)
