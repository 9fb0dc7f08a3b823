"""On plain arrays every function of refgrad.numpy is NumPy's: value, dtype and kind of result.

What is called is read off the namespace, and how off NumPy: whatever its function takes of the arguments below, ours
has to take. A function that comes into the namespace is held to this without being named here.
"""

from __future__ import annotations

import warnings
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from helpers.calls import CALLS, FUNCTIONS, SYMMETRIC, arrays, outcome

INSTEAD = {
    # NumPy's default may exchange equal elements, and a traced array would have them in another order than a plain one
    "numpy.argsort": partial(np.argsort, stable=True),
}
"""What a function is compared with, if not with NumPy's as it is called."""

PROBES = (SYMMETRIC, SYMMETRIC[0] > 0, np.ones((1, 1, 1)), 2, [1])
"""A call that is possible with none of these is none of the function."""

ROUNDED = {
    "numpy.einsum": "matrix products, whose sums are in another order than those of NumPy's loops",
    "numpy.linalg.eigh": "its eigenvalues are those of eigvalsh",
    "numpy.linalg.matrix_norm": "no square leaves the range",
    "numpy.linalg.norm": "no square leaves the range",
    "numpy.linalg.vector_norm": "no square leaves the range",
}
"""Functions that are NumPy's but for roundings, and why."""


def assert_same(found, expected, ulps):
    if isinstance(expected, (list, tuple)):
        assert isinstance(found, tuple if isinstance(expected, tuple) else list)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b, ulps)
        return
    assert type(found) is type(expected)
    assert np.shape(found) == np.shape(expected)
    if not isinstance(expected, (np.ndarray, np.generic)):
        assert found == expected
        return
    assert found.dtype == expected.dtype
    if ulps and expected.dtype.kind in "fc":
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=0)
        np.testing.assert_allclose(found, expected, rtol=0, atol=ulps * np.finfo(expected.dtype).eps * scale)
    else:
        np.testing.assert_array_equal(found, expected)
        assert expected.dtype.kind != "f" or np.array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_on_plain_arrays_is_numpys_in_value_and_dtype(name):
    theirs, ours = FUNCTIONS[name]
    theirs = INSTEAD.get(name, theirs)
    compared = 0
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for label, call in CALLS.items():
            if all(outcome(theirs, call, x, x) is None for x in PROBES):
                continue
            for x, y in arrays():
                expected = outcome(theirs, call, x, y)
                if expected is None:
                    continue
                try:
                    assert_same(call(ours, deepcopy(x), deepcopy(y)), expected, 8 if name in ROUNDED else 0)
                except MemoryError:  # NumPy's is a view of one number, too large to be compared
                    continue
                except Exception as error:
                    raise AssertionError(f"{name}({label}) of {x!r}, {y!r}: {error}") from error
                compared += 1
    assert compared > 0, f"none of CALLS is how numpy.{name} is called: say how"
