"""Which array library an array belongs to, and what may be asked of it.

`of` finds the function table of some arrays, `get` finds one by name. NumPy is always there; CuPy, the exact
backends and array-API libraries are imported when their first array is met.

>>> import numpy as np
>>> from refgrad import backend
>>> backend.of(np.ones(3), 2).name
'numpy'

A table is a `Backend`, described in `base`; `numpy`, `cupy`, `array_api` and `exact` are the libraries.
"""

from __future__ import annotations

from refgrad.backend.base import Backend, shape_of
from refgrad.backend.lookup import get, of
from refgrad.backend.numpy import NUMPY

__all__ = ["NUMPY", "Backend", "get", "of", "shape_of"]
