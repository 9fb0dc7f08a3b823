"""Special functions of NumPy arrays, by SciPy. Imported the first time one of them is evaluated."""

from __future__ import annotations

from collections.abc import Callable

from scipy import special

from refgrad.backend import numpy_text
from refgrad.typing import Array

_cast: Callable[[Array, Array], Array] = numpy_text.cast

__all__ = ["erf", "erfc", "lgamma", "polygamma", "xlog1py", "xlogy"]


def erf(x: Array) -> Array:
    """The error function, in the dtype of `x`; SciPy's is float64 of float16."""
    return _cast(special.erf(x), x)


def erfc(x: Array) -> Array:
    """``1 - erf(x)``, in the dtype of `x`."""
    return _cast(special.erfc(x), x)


def lgamma(x: Array) -> Array:
    """The logarithm of the absolute value of gamma, in the dtype of `x`."""
    return _cast(special.gammaln(x), x)


def xlogy(x: Array, y: Array) -> Array:
    """``x * log(y)`` with 0 where x is 0, in NumPy's dtype of a product."""
    return _cast(special.xlogy(x, y), x * y)


def xlog1py(x: Array, y: Array) -> Array:
    """``x * log(1 + y)`` with 0 where x is 0, in NumPy's dtype of a product."""
    return _cast(special.xlog1py(x, y), x * y)


def polygamma(n: int, x: Array) -> Array:
    """The n-th derivative of digamma, in the dtype of `x`; SciPy's is float64 whatever it is given."""
    return _cast(special.polygamma(n, x), x)
