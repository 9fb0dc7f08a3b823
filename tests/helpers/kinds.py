"""One matrix on every kind of array, for the tests of linear algebra."""

from __future__ import annotations

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from helpers.strict import array_api_strict
from refgrad import exact

few = settings(max_examples=8, deadline=None, derandomize=True, database=None)
KINDS = {
    "floats": lambda x: np.asarray(x, float),
    "rationals": exact.asarray,
    "balls": exact.balls,
    "strict": lambda x: array_api_strict.asarray(np.asarray(x, float)),
}
ROUNDOFF = 2.0**-52


def table(m, n):
    """Matrices of small integers, as object arrays."""
    rows = st.lists(st.lists(st.integers(-3, 3), min_size=n, max_size=n), min_size=m, max_size=m)
    return rows.map(lambda x: np.array(x, object))


def contains(balls, truth):
    """Whether every ball contains the number in its place, and is narrow."""
    low, high = exact.bounds(balls)
    x = exact.to_fractions(exact.asarray(truth))
    return bool(np.all((low <= x) & (x <= high) & (high - low < 2.0**-40)))
