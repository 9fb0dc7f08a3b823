"""Whether two results are the same to the last bit."""

from __future__ import annotations

import numpy as np

from refgrad.tree import flatten


def same_bits(a, b):
    """Whether two containers hold values of the same types, dtypes, shapes and bits (any NaN is any other)."""
    xs, structure = flatten(a)
    ys, other = flatten(b)
    return structure == other and all(_same(x, y) for x, y in zip(xs, ys, strict=True))


def _same(x, y):
    if type(x) is not type(y):
        return False
    if not isinstance(x, (np.ndarray, np.generic, float)):
        return x == y
    x, y = np.asarray(x), np.asarray(y)
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if x.dtype.kind != "f":
        return np.array_equal(x, y)
    both = np.isnan(x) & np.isnan(y)
    return bool((both | ((x == y) & (np.signbit(x) == np.signbit(y)))).all())
