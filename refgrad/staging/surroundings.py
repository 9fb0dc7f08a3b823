"""What a function reads from around it, which a program keeps as it was: variables of enclosing functions and globals.

The guard of a program sees, for 20 ns each, whether the names that the function reads still stand for the same objects.
A name that does not is looked at more closely: an equal value is as good, another one is an error. Seen are the names
that appear in the function, in the functions that transformations and decorators were given or that it captures, and in
the functions of the same module that it calls by such a name. Not seen is what lies behind them: elements of containers
and arrays that are changed in place, attributes, what functions of other modules read.

What changes while the function is recorded, such as a counter, is the function's own and no error later.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.variables import Place, is_library, value_at, variables
from refgrad.errors import ChangedValue
from refgrad.tree import flatten

__all__ = ["Outside", "surroundings", "unchanged"]


class Outside:
    """A variable that a function reads from around it.

    Attributes
    ----------
    name, reader : str
        What it is called, and by which function.
    place : CellType or dict
        The cell of an enclosing function, or the globals of a module.
    recorded : object
        What it was when the program was recorded.
    """

    __slots__ = ("name", "place", "reader", "recorded")

    def __init__(self, name: str, reader: str, place: Place) -> None:
        self.name, self.reader, self.place = name, reader, place
        self.recorded = self.value()

    def value(self) -> Any:
        """What it is now."""
        return value_at(self.name, self.place)

    def test(self, held: Callable[[Any, str], ast.expr]) -> str:
        """The expression that is true as long as it is the same object."""
        place, this = ast.unparse(held(self.place, "around")), ast.unparse(held(self, f"outside_{self.name}"))
        now = f"{place}.get({self.name!r})" if isinstance(self.place, dict) else f"{place}.cell_contents"
        return f"{now} is {this}.recorded"

    def require_same(self, f: Callable[..., Any]) -> None:
        """Take over an equal value; raise `ChangedValue` for another one."""
        now = self.value()
        if not _equal(self.recorded, now):
            raise ChangedValue(
                f"stage({name_of(f)}): {self.reader} reads the variable {self.name!r}, which was "
                f"{_describe(self.recorded)} when the program was recorded and is {_describe(now)} now; a program "
                "keeps what it was recorded with. Pass it as an argument, or stage the function again after a change."
            )
        self.recorded = now


def surroundings(f: Callable[..., Any]) -> list[Outside]:
    """The variables that f reads from around it, with their values."""
    found: dict[Any, Outside] = {}
    for reader in _functions(f):
        for name, place in variables(reader):
            outside = Outside(name, name_of(reader), place)
            if not _is_fixed(name, outside.recorded):
                found.setdefault((id(place), name), outside)
    return list(found.values())


def unchanged(variables: Sequence[Outside]) -> tuple[Outside, ...]:
    """Those that still are what they were."""
    return tuple(v for v in variables if v.value() is v.recorded)


def _functions(f: Callable[..., Any]) -> Iterator[FunctionType]:
    """f, what it is made of and what it captures, and the functions of the same module whose names it reads."""
    pending: list[Any] = [f]
    seen: set[int] = set()
    while pending:
        g = pending.pop()
        if id(g) in seen:
            continue
        seen.add(id(g))
        if isinstance(g, partial):
            pending += [g.func, *g.args, *g.keywords.values()]
        elif isinstance(g, MethodType):
            pending.append(g.__func__)
        elif isinstance(g, FunctionType) and not is_library(g):
            yield g
            for name, place in variables(g):
                h = value_at(name, place)
                if isinstance(place, CellType) or getattr(_core(h), "__globals__", None) is g.__globals__:
                    pending.append(h)
        if hasattr(g, "__wrapped__"):
            pending.append(g.__wrapped__)


def _core(f: Any) -> Any:
    """The function under decorators and transformations."""
    while hasattr(f, "__wrapped__"):
        f = f.__wrapped__
    return f


def _is_fixed(name: str, value: Any) -> bool:
    """Whether a name stands for what nobody binds anew: a module, or what a library calls by the same name."""
    own = getattr(value, "__name__", None) == name
    return isinstance(value, ModuleType) or (
        own and (isinstance(value, (type, BuiltinFunctionType, np.ufunc)) or is_library(value))
    )


def _equal(a: Any, b: Any) -> bool:
    """Whether two objects are the same number, string or array, to the bit, or containers of the same."""
    if a is b:
        return True
    try:
        (xs, structure), (ys, other) = flatten(a), flatten(b)
    except TypeError:  # keys without an order
        return False
    return structure == other and all(
        x is y or (type(x) is type(y) and _same_bits(x, y)) for x, y in zip(xs, ys, strict=True)
    )


def _same_bits(x: Any, y: Any) -> bool:
    if isinstance(x, (np.ndarray, np.generic)):
        return (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes())
    return type(x) in (int, float, complex, bool, str, bytes) and repr(x) == repr(y)


def _describe(value: Any) -> str:
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    text = name_of(value) if callable(value) else repr(value)
    return text if len(text) <= 60 else f"another {type(value).__name__}"
