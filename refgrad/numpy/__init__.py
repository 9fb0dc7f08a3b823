"""The differentiable namespace: NumPy's and the array API's names, for plain, traced, CuPy and exact arrays alike.

Everything here is a primitive or written with primitives, so it needs no derivative rules of its own. NumPy's own
functions on traced values (``np.tanh(x)``, ``np.sum(x, axis=0)``, ``np.linalg.solve(a, x)``) end up here as well. On
plain arrays every function is NumPy's, with all dtypes and options of NumPy's.

Every other name is NumPy's own: ``rnp.arange(3)``, ``rnp.histogram(x)`` and ``rnp.fft.fft(x)`` work on plain arrays, on
CuPy's and exact ones as far as these take part in NumPy's protocols, and on a traced value they raise and are named.
`refgrad.numpy.nn` has the layers and losses of machine learning.

>>> import refgrad
>>> import refgrad.numpy as rnp
>>> from refgrad import exact
>>> f = lambda x: rnp.sum(x / (1 + x * x))
>>> refgrad.grad(f)(exact.asarray([1, "1/2", 2]))
ExactArray([0, 12/25, -3/25])
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy
from numpy import e, float32, float64, inf, int64, nan, newaxis, pi

from refgrad.numpy import (
    contraction,
    conversion,
    creation,
    diagonals,
    elementwise,
    indexing,
    joining,
    linalg,
    manipulation,
    products,
    reductions,
    shapes,
    sliding,
    sorting,
    statistics,
)
from refgrad.numpy.contraction import *
from refgrad.numpy.conversion import *
from refgrad.numpy.creation import *
from refgrad.numpy.diagonals import *
from refgrad.numpy.elementwise import *
from refgrad.numpy.indexing import *
from refgrad.numpy.joining import *
from refgrad.numpy.manipulation import *
from refgrad.numpy.passthrough import hand_over
from refgrad.numpy.products import *
from refgrad.numpy.reductions import *
from refgrad.numpy.shapes import *
from refgrad.numpy.sliding import *
from refgrad.numpy.sorting import *
from refgrad.numpy.statistics import *

__all__ = [
    "e", "float32", "float64", "inf", "int64", "linalg", "nan", "newaxis", "nn", "pi",
    *contraction.__all__,
    *conversion.__all__,
    *creation.__all__,
    *diagonals.__all__,
    *elementwise.__all__,
    *indexing.__all__,
    *joining.__all__,
    *manipulation.__all__,
    *products.__all__,
    *reductions.__all__,
    *shapes.__all__,
    *sliding.__all__,
    *sorting.__all__,
    *statistics.__all__,
]  # fmt: skip

hand_over(globals(), __all__, numpy)


def __getattr__(name: str) -> Any:
    if name == "nn":  # when it is first used
        return importlib.import_module("refgrad.numpy.nn")
    try:
        value = getattr(numpy, name)
    except AttributeError:
        raise AttributeError(f"neither refgrad.numpy nor numpy has {name!r}") from None
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in dir(numpy) if not name.startswith("_"))})
