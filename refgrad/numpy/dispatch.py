"""NumPy's own functions on traced values: which function of this namespace each of them is.

``np.tanh(x)`` on a traced x reaches `apply_ufunc` and ``np.sum(x, axis=0)`` reaches `apply_function`. A function
without a counterpart here raises and is named, and so is an option that makes no sense for a traced value, such as
``out=`` (`refgrad.numpy.arguments`). Functions that are piecewise constant, or ask for a shape or a dtype, are applied
to the plain value: they have no derivative to lose. Inside `vmap` there is no single plain value, and they raise.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from refgrad import numpy as namespace
from refgrad.autodiff.core import Tracer, primal, value_of
from refgrad.errors import NoDerivative
from refgrad.numpy.arguments import call, most_positional, name_of, names_of
from refgrad.numpy.sliding import sliding_window_view
from refgrad.tree import flatten

__all__ = ["apply_function", "apply_ufunc", "hint"]

_REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min", "multiply": "prod", "logaddexp": "logsumexp"}
_RUNNING = {"add": "cumsum", "multiply": "cumprod", "logaddexp": "logcumsumexp"}

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
        return _ours(name)
    return _on_plain_values(ufunc) if name in PIECEWISE_CONSTANT else None


def _scipys(ufunc: np.ufunc) -> Callable[..., Any] | None:
    """The function here that a ufunc of SciPy is, which has been imported by whoever calls it."""
    special, ours = sys.modules.get("scipy.special"), SCIPYS.get(ufunc.__name__)
    theirs = getattr(special, ufunc.__name__, None)
    return _ours(ours) if ours is not None and theirs is ufunc else None


def _on_plain_values(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*_plain(args), **{key: _plain(value) for key, value in kwargs.items()})


def _plain(x: Any) -> Any:
    return type(x)(map(_plain, x)) if type(x) in (list, tuple) else value_of(x)


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``ufunc(*inputs)``, or its reduction, by the function of the same name here."""
    if method == "__call__":
        function = _ufunc(ufunc)
        if function is not None:
            return call(function, ufunc, inputs, kwargs) if kwargs else function(*inputs)
    name = ufunc.__name__
    over = {"reduce": _REDUCTIONS, "accumulate": _RUNNING}.get(method, {})
    if name in over:
        return call(_ours(over[name]), getattr(np, over[name], name), inputs[:1], {"axis": 0, **kwargs})
    called = _library(ufunc) + name
    raise _no_rule(called if method == "__call__" else f"{called}.{method}")


def _ours(name: str) -> Callable[..., Any]:
    """The function for arrays that are not plain."""
    function = getattr(namespace, name)
    return getattr(function, "ours", function)  # type: ignore[no-any-return]


def _library(ufunc: Any) -> str:
    """Where a ufunc can be found by its name; nowhere, perhaps."""
    name = ufunc.__name__
    for library in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(library), name, None) is ufunc:
            return f"{library}."
    return ""


@cache
def _counterparts() -> dict[Any, tuple[Callable[..., Any], int, frozenset[str]]]:
    """What is called in place of a function of NumPy, with how many positional arguments at most, and which names."""
    table: dict[Any, Callable[..., Any]] = {np.lib.stride_tricks.sliding_window_view: sliding_window_view}
    for function in (np.linalg.matrix_rank, *(getattr(np, name) for name in PIECEWISE_CONSTANT)):
        table[function] = _on_plain_values(function)
    for library, own in ((np, namespace), (np.linalg, namespace.linalg)):
        for name in own.__all__:
            theirs, ours = getattr(library, name, None), getattr(own, name)
            if callable(theirs) and callable(ours) and not isinstance(theirs, (np.ufunc, type)):
                table[theirs] = getattr(ours, "ours", ours)
    return {theirs: (ours, most_positional(ours), names_of(ours)) for theirs, ours in table.items()}


MADE_LIKE = {
    np.arange, np.array, np.asarray, np.empty, np.eye, np.full, np.identity, np.ones, np.tri, np.zeros,
}  # fmt: skip
"""Functions of NumPy that are asked by ``like=`` alone, which says whose array is to be made."""


def apply_function(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], asked: Tracer) -> Any:
    """``function(*args, **kwargs)`` by its counterpart here; `asked` is the traced value that NumPy has asked."""
    if function in MADE_LIKE and not any(isinstance(leaf, Tracer) for leaf in flatten((args, kwargs))[0]):
        like = primal(asked)
        return function(*args, **kwargs) if _is_numpys(like) else function(*args, **kwargs, like=like)
    found = _counterparts().get(function)
    if found is None:
        raise _no_rule(f"numpy.{name_of(function).removeprefix('numpy.')}")
    ours, most, names = found
    if len(args) <= most and names.issuperset(kwargs):
        return ours(*args, **kwargs)
    return call(ours, function, args, kwargs)


def _is_numpys(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, float))


def hint(name: str) -> str | None:
    """What to write in place of a function, by its full name or that of the package that it is in."""
    return HINTS.get(name, HINTS.get(name.rpartition(".")[0]))


def _no_rule(name: str) -> NoDerivative:
    return NoDerivative(
        f"{name} has no derivative rule in refgrad. {hint(name) or 'Write it with the functions of refgrad.numpy.'} If "
        "its result needs no derivative, apply it to refgrad.value_of(x)."
    )
