"""`numpys`: NumPy's own function for plain arrays, ours where an argument is traced, exact or on a device."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import numpy as np

__all__ = ["numpys"]

F = TypeVar("F", bound=Callable[..., Any])

PLAIN = frozenset({np.ndarray, np.float64, np.float32, np.int64, np.bool_, int, float, bool, str, type, type(None)})
"""Types of arguments that NumPy needs no help with."""


def numpys(function: F) -> F:
    """`function`, and on plain arrays NumPy's function of the same name.

    That has the same values, every dtype, all options and NumPy's own errors, and none of the cost of a composite. An
    argument of any other type, also within a list, is a case for `function`.
    """
    theirs = getattr(np, function.__name__)

    @wraps(function)
    def either(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) not in PLAIN and not _of_plain(a):
                return function(*args, **kwargs)
        for a in kwargs.values():
            if type(a) not in PLAIN and not _of_plain(a):
                return function(*args, **kwargs)
        return theirs(*args, **kwargs)

    return cast(F, either)


def _of_plain(x: Any) -> bool:
    return type(x) in (list, tuple) and all(type(e) in PLAIN or _of_plain(e) for e in x)
