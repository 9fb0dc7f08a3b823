"""What a function reads from around it: the variables of enclosing functions, and globals."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from functools import lru_cache
from types import CellType, CodeType, FunctionType
from typing import Any

__all__ = ["Place", "is_library", "value_at", "variables"]

Place = CellType | dict[str, Any]
"""Where a variable is: the cell of an enclosing function, or the globals of a module."""

LIBRARIES = {"refgrad", "numpy", "scipy"}
"""Functions of these are not looked into."""


def is_library(f: Any) -> bool:
    """Whether a function is one of a library that nobody writes to."""
    return str(getattr(f, "__module__", "")).partition(".")[0] in LIBRARIES


def variables(f: FunctionType) -> Iterator[tuple[str, Place]]:
    """The names that a function reads from around it and that are bound, each with its place."""
    for name, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        try:
            cell.cell_contents  # noqa: B018  (raises if it is empty)
        except ValueError:
            continue
        yield name, cell
    for name in _globals_read(f.__code__):
        if name in f.__globals__:
            yield name, f.__globals__


def value_at(name: str, place: Place) -> Any:
    """What a variable is now."""
    return place.get(name) if isinstance(place, dict) else place.cell_contents


@lru_cache(maxsize=1024)
def _globals_read(code: CodeType) -> tuple[str, ...]:
    """The global names that a piece of code reads, that of functions inside included; ``x.T`` does not read T."""
    names = [i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")]
    inner = [name for c in code.co_consts if isinstance(c, CodeType) for name in _globals_read(c)]
    return tuple(dict.fromkeys([*names, *inner]))
