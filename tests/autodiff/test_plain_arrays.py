"""On plain arrays every function of refgrad.numpy is NumPy's: value, dtype and kind of result.

What is called is read off the namespace, and how off NumPy: whatever its function takes of the arguments below, ours
has to take. A function that comes into the namespace is held to this without being named here.
"""

from __future__ import annotations

import pickle
import warnings
from copy import deepcopy
from functools import partial

import numpy as np
import pytest
from helpers.calls import FUNCTIONS, arrays, calls_of, outcome

import refgrad.numpy as rnp
from refgrad import source, vmap

INSTEAD = {
    # NumPy's default may exchange equal elements, and a traced array would have them in another order than a plain one
    "numpy.argsort": partial(np.argsort, stable=True),
    # of a number of NumPy's an array of shape (), which a staged program has as well
    "numpy.astype": lambda *args, **options: np.asarray(np.astype(*args, **options)),
}
"""What a function is compared with, if not with NumPy's as it is called."""

ROUNDED = {
    "numpy.einsum": "matrix products, whose sums are in another order than those of NumPy's loops",
    "numpy.linalg.eigh": "its eigenvalues are those of eigvalsh",
    "numpy.linalg.matrix_norm": "no square leaves the range",
    "numpy.linalg.norm": "no square leaves the range",
    "numpy.linalg.vector_norm": "no square leaves the range",
    "numpy.std": "no square leaves the range",
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
        for label, call in calls_of(theirs):
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


def test_functions_are_found_again_by_a_pickle_and_have_one_identity_under_all_their_names():
    for name, (_, ours) in FUNCTIONS.items():
        assert pickle.loads(pickle.dumps(ours)) is ours, name
    assert rnp.absolute is rnp.abs
    assert rnp.concat is rnp.concatenate
    assert source(rnp.exp, np.ones(2)).count("def exp(") == 1


APART = {
    "numpy.conj": "booleans stay what they are",
    "numpy.conjugate": "booleans stay what they are",
    "numpy.dot": "a Python number is weak, as in a product by *",
    "numpy.einsum": "integers are summed as sum does it, where NumPy's einsum lets them wrap",
    "numpy.fabs": "of integers in float64",
    "numpy.inner": "a Python number is weak, as in a product by *",
    "numpy.ldexp": "of integers in float64",
    "numpy.linalg.lstsq": "the rank is counted in int64",
    "numpy.linalg.pinv": "an empty one is of float64",
    "numpy.power": "booleans count as int8",
    "numpy.pow": "booleans count as int8",
    "numpy.reciprocal": "of booleans and of 0",
    "numpy.square": "booleans stay what they are",
}
"""Functions that have another dtype, or another value of what has none, inside a batch; and why."""


def in_a_batch(name):
    """Calls on integers and booleans that a batch of one example does not refuse, with what NumPy makes of them."""
    theirs, ours = FUNCTIONS[name]
    for label, call in calls_of(theirs):
        if "dtype" in label or "int16" in label:  # a mean in integers is cut off, and a type is no array
            continue
        for x, y in arrays():
            if isinstance(x, np.ndarray) and x.dtype.char in "BL?" and x.shape in ((1,), (4,), (0,), (3, 3)):
                expected = outcome(theirs, call, x, y)
                batched = lambda x, call=call, y=y: call(ours, x, y)
                found = None if expected is None else outcome(vmap, lambda f, x, y, g=batched: f(g)(x[None]), x, y)
                if found is not None:
                    yield label, x, found, expected


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in APART])
def test_integers_have_the_same_value_and_dtype_inside_a_batch(name):
    def leaves(y):
        return [e for part in y for e in leaves(part)] if isinstance(y, (list, tuple)) else [y]

    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        for label, x, found, expected in in_a_batch(name):
            for a, b in zip(leaves(found), leaves(expected), strict=True):
                if isinstance(b, (np.ndarray, np.generic)):
                    said = f"{name}({label}) of {x!r}"
                    assert a.dtype == b.dtype, said
                    assert a[0].shape == b.shape, said
                    scale = np.abs(np.where(np.isfinite(b), b, 0)).max(initial=0) if b.dtype.kind == "f" else 0
                    tolerance = 2.0**9 * np.finfo(b.dtype).eps * scale if b.dtype.kind == "f" else 0
                    np.testing.assert_allclose(a[0], b, rtol=0, atol=tolerance, err_msg=said)
