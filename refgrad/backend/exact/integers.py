"""NumPy's integers where they must not wrap round: labels and indices that turn into exact numbers if need be.

NumPy computes with integers modulo 2^8 to 2^64, so that 200 + 200 is 144 as uint8: no certificate may rest on that. An
`Integers` is an array of NumPy's for every purpose, but does its arithmetic twice, as NumPy does and with Python's
ints. Where the two differ, the result is an exact array. What leaves the class, ``numpy.asarray(n)``, is NumPy's again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refgrad.backend.exact.rationals import RATIONAL
from refgrad.errors import InvalidInput

__all__ = ["Integers"]

_WRAPPING = {
    "absolute", "add", "floor_divide", "lcm", "left_shift", "matmul", "matvec", "multiply", "negative", "power",
    "remainder", "square", "subtract", "vecdot", "vecmat",
}  # fmt: skip
"""NumPy's functions of integers whose results may be beyond their dtype, or are 0 for a division by 0."""

_SUMS = {
    "convolve", "correlate", "cross", "cumprod", "cumsum", "cumulative_prod", "cumulative_sum", "diff", "dot",
    "ediff1d", "einsum", "inner", "kron", "matrix_power", "multi_dot", "nancumprod", "nancumsum", "nanprod", "nansum",
    "outer", "polyadd", "polymul", "polysub", "polyval", "ptp", "tensordot", "trace", "vander", "vdot",
}  # fmt: skip
"""Functions that add and multiply without a ufunc, or make plain arrays of their arguments first."""


class Integers(np.ndarray):
    """An array of integers or booleans whose sums and products are those of the whole numbers."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        if not all(isinstance(x, (np.ndarray, np.generic, int, float, complex, list, tuple)) for x in inputs):
            return NotImplemented
        call = ufunc if method == "__call__" else getattr(ufunc, method)
        if method == "at":
            return self._refuse(ufunc) if isinstance(inputs[0], Integers) else call(*_each(_plain, inputs), **options)
        y = _checked(call, inputs, options, ufunc.__name__ in _WRAPPING)
        if out is None:
            return y
        if not isinstance(y, np.ndarray):
            return self._refuse(ufunc)
        np.copyto(_plain(out[0]), _plain(y), casting="same_kind")
        return out[0]

    def _refuse(self, ufunc: np.ufunc) -> Any:
        raise InvalidInput(
            f"{ufunc.__name__}: expected integers whose results have a place in the array; write n = n + k for n += k, "
            "or give numbers as floats or as refgrad.exact.asarray(n)"
        )

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any) -> Any:
        if function.__name__ in _SUMS and all(issubclass(t, np.ndarray) for t in types):
            return _checked(function, args, kwargs, wrapping=True)
        return super().__array_function__(function, types, args, kwargs)

    def __getitem__(self, index: Any) -> Any:
        return _own(_plain(self)[_each(_plain, index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        super().__setitem__(index, value)
        if not np.all(_plain(self)[index] == _plain(value)):
            raise InvalidInput(f"expected integers that {self.dtype} holds to store, got {value}")

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def astype(self, dtype: Any, *args: Any, **kwargs: Any) -> Any:
        """The numbers in another dtype, which must hold them."""
        y = _plain(self).astype(dtype, *args, **kwargs)
        if y.dtype.kind in "iu" and not np.array_equal(y, _plain(self)):
            raise InvalidInput(f"astype: expected a dtype that holds all of the numbers {self}, got {y.dtype}")
        return _own(y)

    def cumsum(self, *args: Any, **kwargs: Any) -> Any:
        """Running sums."""
        return np.cumsum(self, *args, **kwargs)

    def cumprod(self, *args: Any, **kwargs: Any) -> Any:
        """Running products."""
        return np.cumprod(self, *args, **kwargs)

    def dot(self, *args: Any, **kwargs: Any) -> Any:
        """The product with another array."""
        return np.dot(self, *args, **kwargs)

    def trace(self, *args: Any, **kwargs: Any) -> Any:
        """The sum of a diagonal."""
        return np.trace(self, *args, **kwargs)


def _checked(call: Callable[..., Any], args: Any, options: dict[str, Any], wrapping: bool) -> Any:
    """What `call` gives, or the exact numbers where that has wrapped round."""
    options = {k: _each(_plain, v) for k, v in options.items()}
    with np.errstate(over="ignore"):  # what it warns of is seen below
        y = call(*_each(_plain, args), **options)
    if not isinstance(y, (np.ndarray, np.generic)) or y.dtype.kind not in "iub":
        return y
    if wrapping:
        options.pop("dtype", None)
        exactly = call(*_each(_objects, args), **options)
        if not np.array_equal(np.asarray(y, object), exactly):
            return RATIONAL.asarray(exactly)
    return _own(y)


def _each(convert: Callable[[Any], Any], x: Any) -> Any:
    return type(x)(_each(convert, e) for e in x) if isinstance(x, (list, tuple)) else convert(x)


def _plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, Integers) else x


def _objects(x: Any) -> Any:
    """Python's ints in place of NumPy's."""
    integers = isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "iub"
    return np.asarray(x).astype(object) if integers else x


def _own(y: Any) -> Any:
    """`y` as `Integers`, if it is of integers or booleans; NumPy's scalars as well, for they wrap round."""
    return np.asarray(y).view(Integers) if isinstance(y, (np.ndarray, np.generic)) and y.dtype.kind in "iub" else y
