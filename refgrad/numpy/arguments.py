"""Our functions by NumPy's arguments: its names, its places, its options as far as they make sense.

A traced value has derivatives to keep and an exact one its exactness, so that neither can be written into an array
that exists; what is asked for by ``dtype=`` is a cast.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from refgrad.autodiff.core import Tracer
from refgrad.errors import NoDerivative
from refgrad.numpy.conversion import astype
from refgrad.typing import DType

__all__ = ["call", "most_positional", "name_of", "names_of"]

MANY = 1 << 30
"""More arguments than any call has."""


def most_positional(function: Callable[..., Any]) -> int:
    """How many positional arguments a Python function takes at most."""
    code = function.__code__
    return MANY if code.co_flags & inspect.CO_VARARGS else code.co_argcount


def names_of(function: Callable[..., Any]) -> frozenset[str]:
    """The names of the arguments of a Python function."""
    code = function.__code__
    return frozenset(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])


@cache
def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # an older NumPy does not tell those of what it has in C
        return {}


@cache
def _renames(function: Callable[..., Any], theirs: Callable[..., Any]) -> dict[str, str]:
    """Our names of the arguments that NumPy calls otherwise: those in the same place."""
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    own, names = ([p.name for p in _parameters(f).values() if p.kind in positional] for f in (function, theirs))
    return {name: ours for name, ours in zip(names, own, strict=False) if name not in _parameters(function)}


def call(function: Callable[..., Any], theirs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`function`, one of ours, with arguments and options by the names, and in the places, that NumPy's has for them.

    Options that ask for nothing are dropped. ``dtype=`` is a cast, which is linear: of the result where arrays are
    made or joined, else of the arguments, as NumPy calculates in that dtype.
    """
    own, most = _parameters(function), most_positional(function)
    if len(args) <= most and kwargs.keys() <= own.keys():
        return function(*args, **kwargs)
    name = name_of(theirs)
    if len(args) > most:
        places = ["out"] if isinstance(theirs, np.ufunc) else list(_parameters(theirs))[most:]
        if len(args) - most > len(places):
            raise NoDerivative(f"{name}: expected at most {most} arguments before options by name, got {len(args)}")
        kwargs, args = dict(zip(places, args[most:], strict=False)) | kwargs, args[:most]
    if kwargs.get("out") is not None:
        raise NoDerivative(
            f"{name}(..., out=...): a traced value would lose its derivative in an array that exists, and an exact one "
            f"its exactness. Write y = {name}(...) without out=, and x = x + y for x += y on a plain array x."
        )
    renames, options = _renames(function, theirs), {}
    for key, value in kwargs.items():
        ours = renames.get(key, key)
        if ours in own or not _says_nothing(key, value, theirs, args):
            options[ours] = value
    dtype = options.pop("dtype") if "dtype" in options and "dtype" not in own else None
    of_result = function.__module__.rpartition(".")[2] in ("conversion", "creation", "joining")
    if dtype is not None and not of_result:
        args = tuple(_cast(a, dtype, name) for a in args)
        options = {key: _cast(value, dtype, name) for key, value in options.items()}
    try:
        y = function(*args, **options)
    except TypeError as error:
        if isinstance(error, NoDerivative) or "argument" not in str(error):
            raise
        raise NoDerivative(
            f"{name}: on traced, exact and device arrays expected the arguments of refgrad.{name}; {error}"
        ) from None
    if dtype is None or not (of_result or getattr(getattr(y, "dtype", None), "kind", "f") in "iu"):  # sums are wider
        return y
    return (_cast(y[0], dtype, name), *y[1:]) if type(y) is tuple else _cast(y, dtype, name)


def name_of(function: Any) -> str:
    """A function of NumPy by the name that a message gives it."""
    module = "numpy" if isinstance(function, (str, np.ufunc)) else getattr(function, "__module__", "numpy")
    return f"{module}.{getattr(function, '__name__', function)}"


def _says_nothing(key: str, value: Any, theirs: Any, args: tuple[Any, ...]) -> bool:
    """Whether an option asks for what is so anyway."""
    if key == "copy":  # what is traced or exact never changes, so that none is a copy
        return value is not True or any(isinstance(a, Tracer) or _is_exact(a) for a in args[:1])
    if value is None or value is np._NoValue:  # type: ignore[attr-defined]
        return True
    if (key == "where" and value is True) or (key == "device" and value == "cpu"):
        return True
    parameter = _parameters(theirs).get(key)
    return parameter is not None and value is parameter.default


def _is_exact(x: Any) -> bool:
    return isinstance(getattr(x, "dtype", None), str)


def _cast(x: Any, dtype: DType, name: str) -> Any:
    if type(x) in (list, tuple):
        return type(x)(_cast(e, dtype, name) for e in x)
    if not hasattr(x, "dtype") or x.dtype == dtype:
        return x
    if _is_exact(x):
        raise NoDerivative(f"{name}(..., dtype={dtype!r}): an exact array has no dtype; write x.astype(...) first")
    return astype(x, dtype)
