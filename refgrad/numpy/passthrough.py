"""Whose function it is: NumPy's own on plain arrays, ours where an argument is traced, exact or on a device.

On plain arrays the functions of this namespace are NumPy's, value for value, with every dtype, option and error of
NumPy's. `numpys` gives them that, and does so for every function that the namespace gets. Ours are called by NumPy's
names of arguments and options as well, as far as these make sense for values that have derivatives: `call` sees to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cache, partial, update_wrapper
from types import EllipsisType, NoneType
from typing import Any, TypeVar, cast

import numpy as np

from refgrad.errors import InvalidInput, NoDerivative, RefgradError, ShapeError
from refgrad.numpy.conversion import astype
from refgrad.typing import DType

__all__ = ["call", "hand_over", "most_positional", "name_of", "names_of", "numpys"]

F = TypeVar("F", bound=Callable[..., Any])

_SCALARS = set(np.sctypeDict.values())
PLAIN: set[type] = {
    np.ndarray, *_SCALARS, *(type(np.dtype(t)) for t in _SCALARS), type(np._NoValue),  # type: ignore[attr-defined]
    bool, int, float, complex, str, bytes, type, NoneType, slice, range, EllipsisType,
}  # fmt: skip
"""Types of arguments that NumPy needs no help with."""

REFUSALS = (ValueError, TypeError, IndexError, AttributeError)
"""How NumPy's functions say that an argument is none for them."""

OURS: set[type] = set()
"""Types met so far that NumPy is not given."""

OURS_FIRST = {
    "astype": "of Python's numbers too, and of NumPy's an array of shape (), staged or not",
    "broadcast_to": "as NumPy's, in half the time",
    "cholesky": "of the symmetric part, where NumPy reads one triangle",
    "eigh": "of the symmetric part",
    "eigvalsh": "of the symmetric part",
    "kron": "as NumPy's, in less time",
    "matrix_norm": "a square that leaves the range of the dtype is ours to mend",
    "matrix_transpose": "as NumPy's, in half the time",
    "norm": "as matrix_norm",
    "vector_norm": "as matrix_norm",
}
"""Functions that are ours on plain arrays too, and why; what they do not take is then for NumPy's."""

NOTHING = object()
"""In place of an argument that is not given."""

MANY = 1 << 30
"""More arguments than any call has."""

ALIKE = {"ndim", "shape", "size"}
"""Functions that are left as they are, for plain arrays too."""


def _einsum(*operands: Any, **options: Any) -> Any:
    y = np.einsum(*operands, **{"optimize": True, **options})
    return y if y.shape or "out" in options else y[()]


def _diff(a: Any, *args: Any, **options: Any) -> Any:
    dtype = getattr(a, "dtype", None)
    for end in ("prepend", "append"):
        if dtype is not None and dtype.kind == "f" and type(options.get(end)) in (int, float):
            options[end] = dtype.type(options[end])
    return np.diff(a, *args, **options)


def _round(a: Any, decimals: int = 0, out: Any = None) -> Any:
    if decimals == 0 and out is None and type(a) is np.ndarray and a.dtype.kind == "f":
        return np.rint(a)
    return np.round(a, decimals, out)


VARIANTS: dict[str, Callable[..., Any]] = {
    "argsort": partial(np.argsort, kind="stable"),  # equal elements stay in their order, as they do in ours
    "diff": _diff,  # a Python number before or after does not widen float32, as it does not in ours
    "einsum": _einsum,  # by matrix products, which are many times faster
    "round": _round,  # the nearest integers in less time
}
"""How NumPy's function is called where that is not by its bare name."""


def numpys(function: F, library: Any = np) -> F:
    """`function`, and on plain arrays the function of the same name of `library`: numpy, or numpy.linalg.

    What NumPy's refuses is for ours, which may take more, or say better what is wrong.
    """
    if hasattr(function, "ours"):
        return function
    name = function.__name__
    theirs, most, names = getattr(library, name), most_positional(function), names_of(function)
    first, second = VARIANTS.get(name, theirs), function
    refusals: tuple[type[Exception], ...] = REFUSALS
    if name in OURS_FIRST:
        first, second, refusals = function, theirs, (InvalidInput, ShapeError, TypeError)

    def either(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) not in PLAIN and (type(a) in OURS or not _is_plain(a)):
                if len(args) <= most and (not kwargs or names.issuperset(kwargs)):
                    return function(*args, **kwargs)
                return call(function, theirs, args, kwargs)
        for a in kwargs.values():
            if type(a) not in PLAIN and not _is_plain(a):
                return call(function, theirs, args, kwargs)
        try:
            return first(*args, **kwargs)
        except refusals as error:
            refusal = error
        try:
            return second(*args, **kwargs)
        except REFUSALS as error:
            raise (error if isinstance(error, RefgradError) else refusal) from None

    # one or two arguments and nothing else, where the function has no more, in less time
    def unary(x: Any = NOTHING, /, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs:
            if type(x) in OURS:
                return function(x)
            if type(x) in PLAIN:
                try:
                    return first(x)
                except refusals:
                    pass
        return either(*args, **kwargs) if x is NOTHING else either(x, *args, **kwargs)

    def binary(x: Any = NOTHING, y: Any = NOTHING, /, *args: Any, **kwargs: Any) -> Any:
        if not args and not kwargs and y is not NOTHING:
            if type(x) in OURS or type(y) in OURS:
                return function(x, y)
            if type(x) in PLAIN and type(y) in PLAIN:
                try:
                    return first(x, y)
                except refusals:
                    pass
        if y is NOTHING:
            return either(**kwargs) if x is NOTHING else either(x, **kwargs)
        return either(x, y, *args, **kwargs)

    # what the function takes is what NumPy's does, and more
    few = most if most == len(names) and not function.__defaults__ else 0
    shared = update_wrapper({1: unary, 2: binary}.get(few, either), function)
    shared.__wrapped__, shared.ours = theirs, function  # type: ignore[attr-defined]
    return cast(F, shared)


def hand_over(namespace: dict[str, Any], names: Iterable[str], library: Any) -> None:
    """Make of every function among `names` that `library` has what `numpys` makes of it, under all its names."""
    made: dict[Any, Any] = {}
    for name in names:
        function = namespace.get(name)
        if inspect.isfunction(function) and hasattr(library, function.__name__) and name not in ALIKE:
            if function not in made:
                made[function] = numpys(function, library)
                made[function].__module__ = namespace["__name__"]  # where a pickle finds it
            namespace[name] = made[function]


def _is_plain(x: Any) -> bool:
    """Whether NumPy takes x itself: a sequence if it takes all members."""
    kind = type(x)
    if kind is list or kind is tuple:
        others = [e for e in x if type(e) not in PLAIN]
        return not others or all(map(_is_plain, others))
    if kind in OURS:
        return False
    known = issubclass(kind, np.ndarray)
    (PLAIN if known else OURS).add(kind)
    return known


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
        if ours in own or not _says_nothing(key, value, theirs):
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


def _says_nothing(key: str, value: Any, theirs: Any) -> bool:
    """Whether an option asks for what is so anyway; traced and exact arrays never change, so that none is a copy."""
    if value is None or value is np._NoValue or key == "copy":  # type: ignore[attr-defined]
        return True
    if (key == "where" and value is True) or (key == "device" and value == "cpu"):
        return True
    parameter = _parameters(theirs).get(key)
    return parameter is not None and value is parameter.default


def _cast(x: Any, dtype: DType, name: str) -> Any:
    if type(x) in (list, tuple):
        return type(x)(_cast(e, dtype, name) for e in x)
    if not hasattr(x, "dtype") or x.dtype == dtype:
        return x
    if isinstance(x.dtype, str):
        raise NoDerivative(f"{name}(..., dtype={dtype!r}): an exact array has no dtype; write x.astype(...) first")
    return astype(x, dtype)
