"""Hidden state of a function that is batched, run again, or frozen: random generators, and in `debug` any other.

`vmap` runs a function once for all examples, `checkpoint` runs it again for the derivative, and `refgrad.stage` never
again. A function that draws random numbers means something else in each case, so the generators it can reach are looked
at before and after: Python's and NumPy's global ones; those among its arguments and their defaults, in its closure, in
the globals that it names, in the object whose method it is; and likewise for the functions found there. Counters and
caches cannot be seen by one call; inside `refgrad.debug` there is a second one, and the results are compared.

One draw escapes: a single normal number that the legacy ``np.random.randn`` has left over from the call before.
"""

from __future__ import annotations

import ctypes
import functools
import pickle
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import FunctionType, MethodType
from typing import Any

import numpy as np

from refgrad import backend
from refgrad.autodiff.arguments import name_of
from refgrad.autodiff.core import primal, watching
from refgrad.autodiff.variables import is_library, value_at, variables
from refgrad.errors import HiddenState, NoDerivative, Undecided
from refgrad.tree import flatten
from refgrad.typing import Tree

__all__ = ["check_same", "examine"]

_MOST = 100
"""So many functions are followed from one."""

_GENERATORS = {
    "random": ("Random",),
    "numpy.random._generator": ("Generator",),
    "numpy.random.mtrand": ("RandomState",),
    "numpy.random.bit_generator": ("BitGenerator",),
}
"""The classes of generators, by their modules, which may not have been imported."""

WAYS_OUT = {
    "vmap": "every example would get the same numbers. Draw them for all examples before, and map over them: "
    "vmap(f)(X, noise)",
    "per_example_grad": "every example would get the same numbers. Draw them for all examples before, and pass them as "
    "an argument with a row for each",
    "checkpoint": "the derivative would be that of other numbers, drawn when it is run again. Draw them before, and "
    "pass them as an argument",
    "stage": "every run of the program would have the numbers of the recording. Draw them before, and pass them as an "
    "argument",
}


def examine(run: Callable[[], Tree], f: Callable[..., Tree], args: Any, kwargs: dict[str, Any], what: str) -> Tree:
    """``run()``, which calls f with these arguments, if f has no hidden state that shows.

    Parameters
    ----------
    what : str
        The transformation that calls f: a key of `WAYS_OUT`.

    Raises
    ------
    HiddenState
        If a random generator has moved, or, inside `refgrad.debug`, if a second run has other results.
    """
    generators = _reachable(f, args, kwargs)
    before = _states(generators)
    out = run()
    after = _states(generators)
    for name, state in before.items():
        if state != after[name]:
            raise HiddenState(
                f"{what}({name_of(f)}): the function draws random numbers from {name}, and {WAYS_OUT[what]}."
            )
    if watching.get() is not None:
        token = watching.set(None)
        try:
            check_same(out, run(), f"{what}({name_of(f)})")
        finally:
            watching.reset(token)
    return out


def check_same(first: Tree, second: Tree, what: str) -> None:
    """Raise if the results of two runs of a function with the same arguments differ by more than rounding."""
    for a, b in zip(flatten(first)[0], flatten(second)[0], strict=True):
        if not _agree(a, b):
            raise HiddenState(
                f"{what}: the function has other results when it is run again with the same arguments; first "
                f"{primal(a)!r}, then {primal(b)!r}. It depends on something that changes between its calls, such as a "
                "counter, a cache or an array that it writes to. Pass that as an argument."
            )


def _agree(a: Any, b: Any) -> bool:
    """Whether two plain values, under whatever traces them, are the same up to rounding in another order."""
    a, b = (x.get() if hasattr(x, "get") else x for x in (primal(a), primal(b)))  # from a device
    if backend.shape_of(a) != backend.shape_of(b):  # the second run is one of many examples at once
        return True
    try:
        table = backend.of(a, b)
    except NoDerivative:  # labels and names
        return True
    if table.exact:
        try:
            return bool(np.all(a == b))
        except Undecided:  # enclosures that overlap
            return True
    x, y = np.asarray(a, dtype=np.longdouble), np.asarray(b, dtype=np.longdouble)
    unit = np.finfo(getattr(a, "dtype", float)).eps if np.asarray(a).dtype.kind == "f" else 0
    size = np.abs(x[np.isfinite(x)]).max(initial=0)
    return bool(np.all((x == y) | (np.isnan(x) & np.isnan(y)) | (np.abs(x - y) <= 1000 * unit * size)))


def _states(generators: dict[str, Any]) -> dict[str, Any]:
    """What the next draw of each generator depends on."""
    from numpy import random  # which NumPy brings when it is first used, and that may be inside the function

    states: dict[str, Any] = {
        "Python's global generator": _of_python(),
        "NumPy's global generator": _state(random.get_bit_generator()),  # type: ignore[attr-defined]
    }
    for name, generator in generators.items():
        states[name] = _state(generator)
    return states


def _state(generator: Any) -> Any:
    if hasattr(generator, "getstate"):
        return generator.getstate()
    bits = getattr(generator, "bit_generator", None) or getattr(generator, "_bit_generator", generator)
    if type(bits).__name__ == "MT19937":  # its state as a dict takes a hundred times as long
        return ctypes.string_at(bits.ctypes.state_address, 625 * 4)
    return pickle.dumps(bits.state)


def _of_python() -> Any:
    """The state of Python's global generator, read from its memory: asking for it takes twenty times as long."""
    import random  # as for NumPy's

    generator: Any = random._inst  # type: ignore[attr-defined]
    start = _words()
    if start < 0:
        return generator.getstate()
    return ctypes.string_at(id(generator) + start - 4, 625 * 4), generator.gauss_next


@cache
def _words() -> int:
    """Where the 624 words of Python's generator lie in it, behind the place of the next; -1 if they cannot be found."""
    import random

    generator = random.Random()
    words = np.array(generator.getstate()[1][:624], np.uint32).tobytes()
    return (
        -1
        if sys.implementation.name != "cpython"
        else ctypes.string_at(id(generator), type(generator).__basicsize__).find(words)
    )


def _reachable(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The generators that f can reach, by what a message calls them."""
    given = flatten((args, kwargs))[0]
    found = {f"argument {i}": x for i, x in enumerate(given) if _role(x) == "generator"}
    pending, seen = [f], {id(f)}
    while pending and len(seen) < _MOST:
        for name, value in _named(pending.pop()):
            role = _role(value)
            if role == "generator":
                found[f"the generator {name!r}"] = value
            elif role == "function" and id(value) not in seen and not _is_ours(value):
                seen.add(id(value))
                pending.append(value)
    return found


_ROLES: dict[type, str] = {}


def _role(x: Any) -> str:
    """Whether a value is a generator, or a function that a user may have written; else empty."""
    kind = type(x)
    if kind not in _ROLES:
        if any(c.__name__ in _GENERATORS.get(c.__module__, ()) for c in kind.__mro__):
            _ROLES[kind] = "generator"
        else:
            called = issubclass(kind, (FunctionType, MethodType, functools.partial)) or _call_of(kind)
            _ROLES[kind] = "function" if called else ""
    return _ROLES[kind]


def _is_ours(f: Any) -> bool:
    """Whether a function is one of a library, and holds none that it was given."""
    return isinstance(f, FunctionType) and f.__closure__ is None and is_library(f)


def _call_of(kind: type) -> Any:
    """What calling an object of a class does, if that is written in Python."""
    found = next((vars(c)["__call__"] for c in kind.__mro__ if "__call__" in vars(c)), None)
    return found if isinstance(found, FunctionType) else None


def _named(f: Any) -> Iterator[tuple[str, Any]]:
    """What a function may look up, by name: its closure, the globals in its code, the object it is a method of."""
    if isinstance(f, functools.partial):
        yield "func", f.func
        yield from enumerate(f.args)  # type: ignore[misc]
        yield from f.keywords.items()
        return
    if isinstance(f, MethodType):
        yield from getattr(f.__self__, "__dict__", {}).items()
        f = f.__func__
    if not isinstance(f, FunctionType):  # an object that can be called
        yield from getattr(f, "__dict__", {}).items()
        yield "__wrapped__", getattr(f, "__wrapped__", None)
        f = _call_of(type(f))
    if not isinstance(f, FunctionType):
        return
    yield from ((f"a default of {f.__name__}", value) for value in f.__defaults__ or ())
    yield from (f.__kwdefaults__ or {}).items()
    yield from ((name, value_at(name, place)) for name, place in variables(f))
