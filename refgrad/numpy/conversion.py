"""What users pass, as arrays; and what an array is like: its dtype, its parts, its shape, zeros of its kind."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.autodiff import primitive
from refgrad.autodiff.core import PRIMITIVES, Tracer
from refgrad.autodiff.rules import elementwise
from refgrad.backend import shape_of
from refgrad.errors import NoDerivative
from refgrad.typing import Array, Axes, DType

__all__ = [
    "asarray", "astype", "conj", "conjugate", "imag", "ndim", "ones_like", "real", "shape", "size", "zeros_like",
]  # fmt: skip


def asarray(x: Any) -> Array:
    """x as an array: arrays, traced values and, inside the engine, numbers as they are; nested sequences stacked."""
    if not isinstance(x, (list, tuple)):
        return x
    if not _holds_arrays(x):
        return np.asarray(x)
    parts = [asarray(part) for part in x]
    return PRIMITIVES["concat"](*[PRIMITIVES["reshape"](p, shape=(1, *shape_of(p))) for p in parts], axis=0)


def _holds_arrays(x: Any) -> bool:
    """Whether a sequence has a member that NumPy could not convert: a traced, exact or device array."""
    if isinstance(x, (list, tuple)):
        return any(_holds_arrays(part) for part in x)
    return isinstance(x, Tracer) or (hasattr(x, "dtype") and not isinstance(x, (np.ndarray, np.generic)))


def floating(x: Any) -> Array:
    """x as an array, of float64 if it is of integers or booleans: squares, differences and negatives of those wrap."""
    x = asarray(x)
    if isinstance(x, int):
        return float(x)
    return elementwise.astype(x, dtype=np.float64) if getattr(getattr(x, "dtype", None), "kind", "f") in "iub" else x


def float_limits(x: Array) -> Any:
    """What `numpy.finfo` says of the floating dtype of a plain x of any library; of float64 if it has none."""
    dtype = np.dtype(str(getattr(x, "dtype", "float64")).rpartition(".")[2])
    return np.finfo(dtype if dtype.kind == "f" else float)


def astype(x: Any, dtype: DType) -> Array:
    """x in another floating dtype; a traced x only in one, since integers have no derivative."""
    differentiable = isinstance(x, Tracer) and getattr(x.dtype, "kind", "f") == "f"
    if differentiable and dtype != x.dtype and (isinstance(x.dtype, str) or np.dtype(dtype).kind != "f"):
        raise NoDerivative(
            f"astype: a traced value of dtype {x.dtype} cannot become {dtype}, where its derivative would be lost; "
            f"write refgrad.value_of(x).astype({dtype}) if none is needed"
        )
    return elementwise.astype.apply(asarray(x), dtype=dtype)


def real(x: Any) -> Array:
    """The real part; a traced or exact x is real."""
    return _complex_part(np.real, x)


def imag(x: Any) -> Array:
    """The imaginary part: zeros if x is traced or exact."""
    return _complex_part(np.imag, x)


def conjugate(x: Any) -> Array:
    """The complex conjugate; a traced or exact x is real, so x itself."""
    return _complex_part(np.conjugate, x)


conj = conjugate


def _complex_part(part: Callable[[Any], Any], x: Any) -> Array:
    x = asarray(x)
    if getattr(getattr(x, "dtype", None), "kind", "f") == "c":
        return part(x)
    return zeros_like(x) if part is np.imag else x


def zeros_like(x: Any) -> Array:
    """Zeros with the shape and dtype of x."""
    return primitive.zeros_like(asarray(x))


def ones_like(x: Any) -> Array:
    """Ones with the shape and dtype of x."""
    return primitive.ones_like(asarray(x))


def shape(a: Any) -> tuple[int, ...]:
    """The lengths of the axes of a.

    Parameters
    ----------
    a : array
    """
    return shape_of(asarray(a))


def ndim(a: Any) -> int:
    """The number of axes of a.

    Parameters
    ----------
    a : array
    """
    return len(shape_of(asarray(a)))


def size(a: Any, axis: Axes = None) -> int:
    """The number of elements of a, or of places along `axis`.

    Parameters
    ----------
    a : array
    axis : int, tuple of ints, or None for all axes
    """
    dims = shape_of(asarray(a))
    if axis is not None:
        dims = tuple(dims[k] for k in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    return math.prod(dims)
