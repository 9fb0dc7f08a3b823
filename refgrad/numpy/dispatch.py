"""NumPy's own functions on traced values: which function of this namespace each of them is.

``np.tanh(x)`` on a traced x reaches `apply_ufunc` and ``np.sum(x, axis=0)`` reaches `apply_function`. A function
without a counterpart here raises and is named; so does an option, such as ``out=``, that makes no sense for a traced
value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from refgrad import numpy as namespace
from refgrad.errors import NoDerivative
from refgrad.numpy.sliding import sliding_window_view

__all__ = ["apply_function", "apply_ufunc"]

_REDUCTIONS = {"add": "sum", "maximum": "max", "minimum": "min"}


@cache
def _ufunc(ufunc: np.ufunc) -> Callable[..., Any] | None:
    name = ufunc.__name__
    if getattr(np, name, None) is not ufunc:  # somebody else's ufunc, which may have a name of ours
        return None
    return getattr(namespace, name, None) if name in namespace.__all__ else None


def apply_ufunc(ufunc: Any, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """``ufunc(*inputs)`` or ``ufunc.reduce(*inputs)`` by the function of the same name here."""
    if method == "__call__" and not kwargs:
        function = _ufunc(ufunc)
        if function is not None:
            return function(*inputs)
    name = ufunc.__name__
    if method == "reduce" and name in _REDUCTIONS:
        options = {key: value for key, value in kwargs.items() if value is not None or key == "axis"}
        return getattr(namespace, _REDUCTIONS[name])(inputs[0], **{"axis": 0, **options})
    if kwargs.get("out") is not None:
        raise NoDerivative(
            f"numpy.{name}(..., out=...): a traced value cannot be written into an array that exists, and x += y on a "
            "plain array x does just that. Write x = x + y."
        )
    called = name if method == "__call__" else f"{name}.{method}"
    raise _no_rule(called + "".join(f", {key}=" for key in kwargs))


@cache
def _counterparts() -> dict[Any, Callable[..., Any]]:
    table: dict[Any, Callable[..., Any]] = {np.lib.stride_tricks.sliding_window_view: sliding_window_view}
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
        raise _no_rule(_name(function).removeprefix("numpy."))
    try:
        return ours(*args, **kwargs)
    except TypeError as error:
        if isinstance(error, NoDerivative) or "argument" not in str(error):
            raise
        raise NoDerivative(
            f"{_name(function)}: on traced values expected the arguments of refgrad.numpy.{ours.__name__}; {error}"
        ) from None


def _name(function: Callable[..., Any]) -> str:
    return f"{getattr(function, '__module__', 'numpy')}.{getattr(function, '__name__', function)}"


def _no_rule(name: str) -> NoDerivative:
    return NoDerivative(
        f"numpy.{name} has no derivative rule in refgrad. Write it with the functions of refgrad.numpy; if its result "
        "needs no derivative, apply it to refgrad.value_of(x)."
    )
