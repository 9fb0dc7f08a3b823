"""What became of the arguments of a call: which callables were used, and which arguments were changed.

A callable argument goes to the subject in a `Watched`, which the libraries for automatic differentiation call like the
function itself. Arrays are not watched: that one of them is never used cannot be told from here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from refgrad.conformance.subject.frameworks import NotAnArray, to_numpy

__all__ = ["Arguments", "Watched", "names"]


class Watched:
    """A callable that notes that it was used, by a call or for one of its public attributes such as ``.grad``."""

    def __init__(self, function: Callable[..., Any], note: Callable[[], Any]) -> None:
        self.__wrapped__ = function
        self._note = note

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._note()
        return self.__wrapped__(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # a copy that is still empty
            raise AttributeError(name)
        found = getattr(self.__wrapped__, name)
        if not name.startswith("_"):
            self._note()
        return found

    def __repr__(self) -> str:
        return repr(self.__wrapped__)


class Arguments:
    """The positional arguments of one call.

    Parameters
    ----------
    given : tuple
    names : sequence of str
        What the contract's signature calls them.

    Attributes
    ----------
    positional : tuple
        What the subject is called with.
    callables : tuple of str
        Those that can be called.
    """

    def __init__(self, given: Sequence[Any], names: Sequence[str]) -> None:
        self._seen: set[str] = set()
        self._given = dict(zip(names, given, strict=True))
        self._before = {name: _state(x) for name, x in self._given.items()}
        self.callables = tuple(name for name, x in self._given.items() if callable(x))
        self.positional = tuple(
            Watched(x, partial(self._seen.add, name)) if callable(x) else x for name, x in self._given.items()
        )

    def used(self) -> list[str]:
        """The callables that have been used."""
        return [name for name in self.callables if name in self._seen]

    def mutated(self) -> list[str]:
        """The arguments that are not what they were, by their numbers, dtypes and shapes, bit for bit."""
        return [name for name, x in self._given.items() if self._changed(name, x)]

    def leaves(self) -> dict[str, Any]:
        """The torch tensors among the arguments whose gradient may be asked for."""
        return {name: x for name, x in self._given.items() if getattr(x, "requires_grad", False) is True}

    def _changed(self, name: str, x: Any) -> bool:
        try:
            return _state(x) != self._before[name]
        except Exception:  # it has lost its numbers, or contains itself
            return True


def names(signature: str, count: int) -> tuple[str, ...]:
    """The names of `count` positional arguments in a signature such as ``subject(loss, theta)``."""
    inside = re.search(r"\((.*)\)", signature)
    found = re.findall(r"[A-Za-z_]\w*", inside[1]) if inside else []
    return tuple(found) if len(found) == count else tuple(f"argument {i}" for i in range(1, count + 1))


def _state(x: Any, inside: bool = False) -> Any:
    """Numbers, dtypes and shapes of all arrays in `x`, or, for a callable, of those that it holds."""
    if isinstance(x, (list, tuple)):
        return [type(x), *(_state(element, inside) for element in x)]
    if isinstance(x, dict):
        return {key: _state(element, inside) for key, element in x.items()}
    if callable(x):
        home = getattr(x, "__self__", x)
        if inside or isinstance(home, ModuleType) or not hasattr(home, "__dict__"):
            return None
        return {name: _state(value, True) for name, value in vars(home).items()}
    try:
        array, dtype = to_numpy(x, "")
    except NotAnArray:
        return repr(x) if isinstance(x, (str, bool, type(None))) else None
    return array.tobytes(), array.shape, dtype
