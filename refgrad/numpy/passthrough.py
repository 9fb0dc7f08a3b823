"""Whose function it is: NumPy's own on plain arrays, ours where an argument is traced, exact or on a device.

On plain arrays the functions of this namespace are NumPy's, value for value, with every dtype, option and error of
NumPy's. `numpys` gives them that, and `hand_over` does so for every function that a namespace gets. On other arrays
ours are called by NumPy's names of arguments and options as well (`refgrad.numpy.arguments`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import partial, update_wrapper
from types import EllipsisType, NoneType
from typing import Any, TypeVar, cast

import numpy as np

from refgrad.errors import InvalidInput, RefgradError, ShapeError
from refgrad.numpy.arguments import call, most_positional, names_of

__all__ = ["hand_over", "numpys"]

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
    "eigh": "what does not converge is an error of ours",
    "eigvalsh": "as eigh",
    "kron": "as NumPy's, in less time",
    "lstsq": "with names for its parts",
    "matrix_norm": "a square that leaves the range of the dtype is ours to mend",
    "matrix_transpose": "as NumPy's, in half the time",
    "norm": "as matrix_norm",
    "std": "as matrix_norm",
    "vector_norm": "as matrix_norm",
}
"""Functions that are ours on plain arrays too, and why; what they do not take is then for NumPy's."""

NOTHING = object()
"""In place of an argument that is not given."""

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


def _of_floats(theirs: Callable[..., Any], shorter: Callable[[Any], Any]) -> Callable[..., Any]:
    """`theirs`, and of an array of floats alone `shorter`, which has the same values in less time."""

    def variant(*args: Any, **options: Any) -> Any:
        if len(args) == 1 and not options:
            (x,) = args
            if type(x) is np.ndarray and x.shape and x.dtype.kind == "f":
                return shorter(x)
        return theirs(*args, **options)

    return variant


def _power(x: Any, y: Any, *args: Any, **options: Any) -> Any:
    if type(y) is int and y == 2 and type(x) is np.ndarray and x.dtype.kind == "f" and not args and not options:
        return np.square(x)  # as x ** 2
    return np.power(x, y, *args, **options)


VARIANTS: dict[str, Callable[..., Any]] = {
    "argsort": partial(np.argsort, kind="stable"),  # equal elements stay in their order, as they do in ours
    "diff": _diff,  # a Python number before or after does not widen float32, as it does not in ours
    "einsum": _einsum,  # by matrix products, which are many times faster
    "conjugate": _of_floats(np.conjugate, lambda x: x),
    "power": _power,
    "reciprocal": _of_floats(np.reciprocal, lambda x: 1 / x),
    "round": _of_floats(np.round, np.rint),
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
