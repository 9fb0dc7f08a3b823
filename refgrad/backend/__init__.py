"""Which array library an array belongs to, and what may be asked of it.

`of` finds the function table of some arrays, `get` finds one by name. NumPy is always there; CuPy, the exact
backends and array-API libraries are imported when their first array is met.

>>> import numpy as np
>>> from refgrad import backend
>>> backend.of(np.ones(3), 2).name
'numpy'
"""

from __future__ import annotations

import numpy as np

from refgrad.backend.base import Backend, shape_of
from refgrad.backend.numpy import NUMPY
from refgrad.errors import InvalidInput, MissingExtra, NoDerivative
from refgrad.typing import Array

__all__ = ["NUMPY", "Backend", "get", "of", "register", "shape_of"]

TYPES: dict[type, Backend] = {np.ndarray: NUMPY}
TYPES.update(dict.fromkeys((*np.sctypeDict.values(), bool, int, float), NUMPY))


def register(array_type: type, backend: Backend) -> None:
    """Let arrays of `array_type` be handled by `backend`."""
    TYPES[array_type] = backend


def lookup(array: Array) -> Backend:
    """The table for one array; imports the library's table if need be."""
    array_type = type(array)
    for base in array_type.__mro__:  # a subclass of a known array type, or a library not met before
        if base in TYPES:
            TYPES[array_type] = TYPES[base]
            return TYPES[base]
    library = array_type.__module__.partition(".")[0]
    if library == "cupy":
        register(array_type, get("cupy"))
        return TYPES[array_type]
    if library == "refgrad":
        raise NoDerivative(
            f"a traced value reached a function that has no derivative rule and needs a plain array; got {array!r}. "
            "Give it refgrad.value_of(x) if no derivative is needed."
        )
    if hasattr(array, "__array_namespace__") and library not in ("jax", "jaxlib"):
        from refgrad.backend.array_api import Standard

        register(array_type, Standard(array.__array_namespace__()))
        return TYPES[array_type]
    raise NoDerivative(
        f"expected an array of NumPy, CuPy, refgrad.exact or an array-API library; got {array_type.__module__}."
        f"{array_type.__qualname__}. Convert it first, with numpy.asarray(x) or refgrad.exact.asarray(x)."
    )


def of(*arrays: Array) -> Backend:
    """The table that serves all of `arrays`; Python numbers fit any library, NumPy constants fit the exact ones."""
    found: Backend = NUMPY
    for x in arrays:
        table = TYPES.get(type(x)) or lookup(x)
        if table is not NUMPY and table not in found.absorbs:
            found = table
    return found


def get(name: str) -> Backend:
    """The table called `name`: ``"numpy"``, ``"cupy"``, ``"rational"`` or ``"ball"``."""
    if name == "numpy":
        return NUMPY
    if name == "cupy":
        try:
            from refgrad.backend.cupy import CUPY
        except ImportError as error:
            raise MissingExtra(f"CuPy arrays need the extra gpu: pip install 'refgrad[gpu]' ({error})") from error
        return CUPY
    if name == "rational":
        from refgrad.backend.exact.rationals import RATIONAL

        return RATIONAL
    if name == "ball":
        from refgrad.backend.exact.balls import BALL

        return BALL
    raise InvalidInput(f"expected a backend name, one of numpy, cupy, rational, ball; got {name!r}")
