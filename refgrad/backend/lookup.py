"""The function table of an array, by its type, and of a library, by its name."""

from __future__ import annotations

import numpy as np

from refgrad.backend.base import Backend
from refgrad.backend.numpy import NUMPY
from refgrad.errors import InvalidInput, MissingExtra, NoDerivative
from refgrad.typing import Array

__all__ = ["get", "of"]

TYPES: dict[type, Backend] = {np.ndarray: NUMPY}
TYPES.update(dict.fromkeys((*np.sctypeDict.values(), bool, int, float), NUMPY))


def lookup(array: Array) -> Backend:
    """The table for one array; imports the library's table if need be."""
    found = _table(type(array), array)
    TYPES[type(array)] = found
    return found


def _table(array_type: type, array: Array) -> Backend:
    own = getattr(array_type, "table", None)
    if isinstance(own, Backend):  # an exact array brings its table along
        return own
    for base in array_type.__mro__:  # a subclass of a known array type
        if base in TYPES:
            return TYPES[base]
    library = array_type.__module__.partition(".")[0]
    if library == "cupy":
        return get("cupy")
    if library == "refgrad":
        raise NoDerivative(
            f"a traced value reached a function that has no derivative rule and needs a plain array; got {array!r}. "
            "Give it refgrad.value_of(x) if no derivative is needed."
        )
    if hasattr(array, "__array_namespace__") and library not in ("jax", "jaxlib"):
        from refgrad.backend.array_api import ArrayAPI

        return ArrayAPI(array.__array_namespace__())
    raise NoDerivative(
        f"expected an array of NumPy, CuPy, refgrad.exact or an array-API library; got {array_type.__module__}."
        f"{array_type.__qualname__}. Convert it first, with numpy.asarray(x) or refgrad.exact.asarray(x)."
    )


def of(*arrays: Array) -> Backend:
    """The table that serves all of `arrays`; Python numbers fit any library, NumPy constants fit the exact ones.

    Parameters
    ----------
    *arrays : arrays or numbers

    Raises
    ------
    NoDerivative
        If one of them is a traced value, or of no library known here.
    """
    found: Backend = NUMPY
    for x in arrays:
        table = TYPES.get(type(x)) or lookup(x)
        if table is not NUMPY and table not in found.absorbs:
            found = table
    return found


def get(name: str) -> Backend:
    """The table called `name`.

    Parameters
    ----------
    name : {"numpy", "cupy", "rational", "ball"}

    Raises
    ------
    InvalidInput
        If there is no such table.
    MissingExtra
        If CuPy, or for balls python-flint, is not installed.
    """
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
