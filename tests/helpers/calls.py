"""How functions of NumPy may be called, and arrays of every dtype to call them with."""

from __future__ import annotations

import inspect
from copy import deepcopy

import numpy as np

import refgrad.numpy as rnp

DTYPES = [*"bBhHiIlL", "?", "e", "f", "d"]
SYMMETRIC = np.array([[4, 1, 0], [1, 3, 1], [0, 1, 2]])
SHAPES = [(), (1,), (4,), (0,), (3, 3), (2, 0), (1, 3, 2)]
NUMBERS = [2, 2**53 + 1, -3, True, 2.5, [1, 2], [[True], [False]], [0.5, 3]]
"""Python's own, which have no dtype until NumPy gives them one."""

REFUSALS = (TypeError, ValueError, IndexError, AttributeError, ArithmeticError, MemoryError)
"""How NumPy's functions refuse arguments."""

CALLS = {
    "x": lambda f, x, y: f(x),
    "x, y": lambda f, x, y: f(x, y),
    "mask, x, y": lambda f, x, y: f(np.asarray(x) > 1, x, y),
    "x, 1": lambda f, x, y: f(x, 1),
    "x, 2": lambda f, x, y: f(x, 2),
    "x, -1": lambda f, x, y: f(x, -1),
    "x, 2.0": lambda f, x, y: f(x, 2.0),
    "x, 1, 2": lambda f, x, y: f(x, 1, 2),
    "x, 0, 1": lambda f, x, y: f(x, 0, 1),
    "x, 0, -1": lambda f, x, y: f(x, 0, -1),
    "3, y": lambda f, x, y: f(3, y),
    "(2, 3), 1": lambda f, x, y: f((2, 3), 1),
    "x, (3, 3)": lambda f, x, y: f(x, (3, 3)),
    "x, float16": lambda f, x, y: f(x, np.float16),
    "x, int16": lambda f, x, y: f(x, np.dtype("i2")),
    "[x, y]": lambda f, x, y: f([x, y]),
    "[x, x, y]": lambda f, x, y: f([x, x, y]),
    "[x, y], axis": lambda f, x, y: f([x, y], axis=-1),
    "x, [0]": lambda f, x, y: f(x, [0]),
    "places": lambda f, x, y: f(x, np.zeros(np.shape(x), int), axis=-1),
    "x, [[0]]": lambda f, x, y: f(x, [[0]], axis=0),
    "axis": lambda f, x, y: f(x, axis=0),
    "keepdims": lambda f, x, y: f(x, axis=-1, keepdims=True),
    "all axes": lambda f, x, y: f(x, axis=None, keepdims=True),
    "two axes": lambda f, x, y: f(x, axis=(0, 1)),
    "dtype": lambda f, x, y: f(x, dtype=np.float32),
    "wide dtype": lambda f, x, y: f(x, axis=0, dtype="i8"),
    "copy": lambda f, x, y: f(x, copy=True),
    "decimals": lambda f, x, y: f(x, decimals=-1),
    "ddof": lambda f, x, y: f(x, ddof=1, keepdims=True),
    "where": lambda f, x, y: f(x, out=np.zeros_like(f(x)), where=np.asarray(x) != 0),
    "initial": lambda f, x, y: f(x, initial=1),
    "include_initial": lambda f, x, y: f(x, axis=0, include_initial=True),
    "weights": lambda f, x, y: f(x, weights=y),
    "order": lambda f, x, y: f(x, order="F"),
    "out": lambda f, x, y: f(x, out=np.zeros_like(f(x))),
    "compute_uv": lambda f, x, y: f(x, compute_uv=False),
    "i->": lambda f, x, y: f("...i->...", x),
    "i,i": lambda f, x, y: f("...i,...i", x, y),
    "ii": lambda f, x, y: f("...ii->i", x),
}
LIBRARIES = {np: rnp, np.linalg: rnp.linalg}
FUNCTIONS = {
    f"{ours.__name__.removeprefix('refgrad.')}.{name}": (getattr(theirs, name), getattr(ours, name))
    for theirs, ours in LIBRARIES.items()
    for name in ours.__all__
    if callable(getattr(theirs, name, None)) and not inspect.isclass(getattr(theirs, name))
}


def arrays():
    """Pairs of one dtype and shape; the second, which may be a count, has small elements only."""
    for code in DTYPES:
        dtype = np.dtype(code)
        if dtype.kind in "iu":
            limits = np.iinfo(dtype)
            pool = np.array([3, 0, 1, limits.max, limits.min, 2, 5, 7], dtype)
        else:
            pool = np.array([1.5, -2.5, 0.0, 0.25, 3.0, -0.5, 2.0, 1.0]).astype(dtype)
        for shape in SHAPES:
            n = int(np.prod(shape))
            x = SYMMETRIC.astype(dtype) if shape == (3, 3) else pool[np.arange(n) % len(pool)].reshape(shape)
            yield x, x // 2 if shape == (3, 3) else np.resize(np.array([2, 1, 0, 3], dtype), n).reshape(shape)
        yield pool[0], pool[2]
    for x in NUMBERS:
        yield x, 2


def outcome(f, call, x, y):
    """What comes of a call: its value, or None if it is refused."""
    try:
        return call(f, deepcopy(x), deepcopy(y))  # a second array may be taken for the place of the result
    except REFUSALS:
        return None


def calls_of(f):
    """Those of CALLS that are calls of f at all."""
    probes = (SYMMETRIC, SYMMETRIC[0] > 0, np.ones((1, 1, 1)), 2, [1])
    return [(label, call) for label, call in CALLS.items() if any(outcome(f, call, x, x) is not None for x in probes)]
