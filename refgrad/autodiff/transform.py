"""What transformations return: functions made of functions, which pickle and copy as functions do.

A closure is found again by its name alone, and ``grad(loss)`` has the name of ``loss``. A `Transform` is a partial
application instead, of a function of this package to the user's function and the options, so that processes and
executors can be given it: what is needed is that the user's function itself can be found by its name. The functions
that `vjp` and `linearize` return belong to one run, and stay where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial, update_wrapper
from types import MethodType
from typing import Any

from refgrad.autodiff.arguments import name_of

__all__ = ["Transform", "global_name"]


class Transform(partial[Any]):
    """``Transform(run, f, *options)``: the function that calls ``run(f, *options, *args, **kwargs)``.

    Towards the world it is a function with the name, signature and documentation of f, and a method inside a class.
    A partial application is called by CPython without a frame of its own.
    """

    def __init__(self, run: Callable[..., Any], f: Callable[..., Any], *options: Any) -> None:
        update_wrapper(self, f)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __reduce__(self) -> Any:
        return global_name(self) or (type(self), (self.func, *self.args))

    def __repr__(self) -> str:
        return f"<{self.func.__name__.strip('_')} of {name_of(self.args[0])}>"


def global_name(f: Any) -> str | None:
    """The name by which pickle finds f, if it stands where its name says: as the result of a decorator does."""
    found: Any = sys.modules.get(getattr(f, "__module__", None) or "")
    name = getattr(f, "__qualname__", "")
    for part in name.split("."):
        found = getattr(found, part, None)
    return name if found is f else None
