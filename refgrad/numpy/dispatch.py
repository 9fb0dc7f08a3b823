"""NumPy's own functions on traced values: which function of this namespace each of them is.

``np.tanh(x)`` on a traced x reaches `apply_ufunc` and ``np.sum(x, axis=0)`` reaches `apply_function`. A function
without a counterpart here raises and is named, and so is an option that makes no sense for a traced value, such as
``out=``. Functions that are piecewise constant, or ask for a shape or a dtype, are applied to the plain value: they
have no derivative to lose. Inside `vmap` there is no single plain value, and they raise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from refgrad import numpy as namespace
from refgrad.autodiff.core import Tracer, value_of
from refgrad.errors import NoDerivative
from refgrad.numpy.sliding import sliding_window_view

__all__ = ["apply_function", "apply_ufunc", "hint"]

_REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod", "logaddexp": "logsumexp"}
_RUNNING = {"add": "cumsum", "multiply": "cumprod", "logaddexp": "logcumsumexp"}
_GENERALIZED = {"vecdot"}  # ufuncs with an option that is ours too

PIECEWISE_CONSTANT = {
    "allclose", "argpartition", "array2string", "array_equal", "array_equiv", "array_repr", "array_str", "can_cast",
    "digitize", "floor_divide", "isclose", "iscomplexobj", "isin", "isinf", "isneginf", "isposinf", "isrealobj",
    "lexsort", "result_type", "searchsorted", "signbit", "trunc",
}  # fmt: skip
"""Functions of NumPy that are applied to plain values where this namespace has no function of that name."""


SCIPYS = {
    "erf": "erf", "expit": "logistic", "gammaln": "lgamma", "psi": "digamma", "xlog1py": "xlog1py", "xlogy": "xlogy",
}  # fmt: skip
"""Ufuncs of `scipy.special`, by their own names, that this namespace has."""


HINTS = {
    "numpy.angle": "Write refgrad.numpy.arctan2(imaginary, real).",
    "numpy.fft": "Multiply by its matrix: numpy.fft.fft(numpy.eye(n)) for fft, its real and imaginary part one by one.",
    "numpy.interp": "Find the places with numpy.searchsorted(xp, x); join the neighbours there, from numpy.take.",
    "numpy.linalg.cond": "Take the quotient of singular values, numpy.linalg.svd(x, compute_uv=False).",
    "numpy.linalg.eig": "Of a symmetric matrix, write numpy.linalg.eigh or eigvalsh.",
    "numpy.median": "Take the middle of numpy.sort(x): one element, or the mean of two.",
    "numpy.nanmedian": "Take the middle of numpy.sort(x[~numpy.isnan(x)]): one element, or the mean of two.",
    "numpy.percentile": "Take the elements of numpy.sort(x) on either side of the place, and their weighted mean.",
    "numpy.quantile": "Take the elements of numpy.sort(x) on either side of the place, and their weighted mean.",
    "scipy.linalg.expm": "Take numpy.linalg.eigh if x is symmetric; if not, sum the series of x / 2**k and square.",
    "scipy.special.log_softmax": "Write refgrad.numpy.nn.log_softmax(x, axis).",
    "scipy.special.logsumexp": "Write refgrad.numpy.logsumexp(x, axis, b=weights).",
    "scipy.special.polygamma": "Write refgrad.numpy.polygamma(n, x).",
    "scipy.special.softmax": "Write refgrad.numpy.softmax(x, axis).",
}
"""What to write in place of functions that have no rule, by their full names or those of their packages."""


@cache
def _ufunc(ufunc: np.ufunc) -> Callable[..., Any] | None:
    name = ufunc.__name__
    if getattr(np, name, None) is not ufunc:  # somebody else's ufunc, which may have a name of ours
        return _scipys(ufunc)
    if name in namespace.__all__:
        return getattr(namespace, name)  # type: ignore[no-any-return]
    return _on_plain_values(ufunc) if name in PIECEWISE_CONSTANT else None


def _scipys(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The function here that a ufunc of SciPy is, which has been imported by whoever calls it."""
    special, ours = sys.modules.get("scipy.special"), SCIPYS.get(ufunc.__name__)
    theirs = getattr(special, ufunc.__name__, None)
    return getattr(namespace, ours) if ours is not None and theirs is ufunc else None  # type: ignore[no-any-return]


def _on_plain_values(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*_plain(args), **{key: _plain(value) for key, value in kwargs.items()})


def _plain(x: Any) -> Any:
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else value_of(x)


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``ufunc(*inputs)``, or its reduction, by the function of the same name here."""
    if kwargs:
        kwargs = _telling(kwargs, inputs)
    if method == "__call__" and (not kwargs or ufunc.__name__ in _GENERALIZED):
        function = _ufunc(ufunc)
        if function is not None:
            return function(*inputs, **kwargs)
    name = ufunc.__name__
    over = {"reduce": _REDUCTIONS, "accumulate": _RUNNING}.get(method, {})
    if name in over and "out" not in kwargs:
        return _call(getattr(namespace, over[name]), f"{name}.{method}", inputs[:1], {"axis": 0, **kwargs})
    if kwargs.get("out") is not None:
        raise NoDerivative(
            f"numpy.{name}(..., out=...): a traced value cannot be written into an array that exists, and x += y on a "
            "plain array x does just that. Write x = x + y."
        )
    called = _library(ufunc) + name if method == "__call__" else f"{_library(ufunc)}{name}.{method}"
    raise _no_rule(called + "".join(f", {key}=" for key in kwargs))


def _library(ufunc: Any) -> str:
    """Where a ufunc can be found by its name; nowhere, perhaps."""
    name = ufunc.__name__
    for library in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(library), name, None) is ufunc:
            return f"{library}."
    return ""


@cache
def _counterparts() -> dict[Any, Callable[..., Any]]:
    table: dict[Any, Callable[..., Any]] = {np.lib.stride_tricks.sliding_window_view: sliding_window_view}
    for function in (np.linalg.matrix_rank, *(getattr(np, name) for name in PIECEWISE_CONSTANT)):
        table[function] = _on_plain_values(function)
    for library, own in ((np, namespace), (np.linalg, namespace.linalg)):
        for name in own.__all__:
            theirs, ours = getattr(library, name, None), getattr(own, name)
            if callable(theirs) and callable(ours) and not isinstance(theirs, (np.ufunc, type)):
                table[theirs] = ours
    return table


def apply_function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``function(*args, **kwargs)`` by its counterpart here."""
    ours = _counterparts().get(function)
    if ours is None:
        raise _no_rule(f"numpy.{_name(function)}")
    return _call(ours, function, args, _telling(kwargs, args) if kwargs else kwargs)


def _call(ours: Callable[..., Any], theirs: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return ours(*args, **kwargs)
    except TypeError as error:
        if isinstance(error, NoDerivative) or "argument" not in str(error):
            raise
        raise NoDerivative(
            f"numpy.{_name(theirs)}: on traced values expected the arguments of refgrad.numpy.{ours.__name__}; {error}"
        ) from None


def _name(function: Any) -> str:
    if isinstance(function, str):
        return function
    name = f"{getattr(function, '__module__', 'numpy')}.{getattr(function, '__name__', function)}"
    return name.removeprefix("numpy.")


def _telling(kwargs: dict[str, Any], args: tuple[Any, ...]) -> dict[str, Any]:
    """The options that ask for something: not ``out=None``, nor the dtype that a result has anyway."""
    return {key: value for key, value in kwargs.items() if not _is_default(key, value, args)}


def _is_default(key: str, value: Any, args: tuple[Any, ...]) -> bool:
    if key == "dtype":
        return value is None or all(np.dtype(value) == x.dtype for x in _tracers(args))
    return (key == "out" and value is None) or (key == "where" and value is True)


def _tracers(args: Any) -> Iterator[Tracer]:
    for x in args:
        if isinstance(x, (list, tuple)):
            yield from _tracers(x)
        elif isinstance(x, Tracer):
            yield x


def hint(name: str) -> str | None:
    """What to write in place of a function, by its full name or that of the package that it is in."""
    return HINTS.get(name, HINTS.get(name.rpartition(".")[0]))


def _no_rule(name: str) -> NoDerivative:
    return NoDerivative(
        f"{name} has no derivative rule in refgrad. {hint(name) or 'Write it with the functions of refgrad.numpy.'} If "
        "its result needs no derivative, apply it to refgrad.value_of(x)."
    )
