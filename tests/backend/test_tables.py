"""Array libraries are found by type, and every table computes the same."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from types import SimpleNamespace

import array_api_strict
import numpy as np
import pytest
from helpers.fraction_arrays import FRACTIONS

from refgrad import backend, exact
from refgrad.backend.array_api import ArrayAPI
from refgrad.errors import InvalidInput, NoDerivative, SingularMatrix


def test_the_table_is_that_of_the_arrays():
    assert backend.of(np.ones(2), 3, 2.0).name == "numpy"
    assert backend.of(np.float32(1)).name == "numpy"
    assert backend.of(2, exact.asarray([1])).name == "rational"
    assert backend.of(exact.balls([1])).name == "ball"
    assert backend.of(array_api_strict.asarray([1.0])).name == "array_api"
    assert backend.get("rational") is backend.of(exact.asarray([1]))
    assert backend.get("numpy") is backend.NUMPY


def test_a_foreign_object_is_named_with_what_to_do():
    with pytest.raises(NoDerivative, match=r"got builtins.list.*asarray"):
        backend.of([1.0])
    with pytest.raises(InvalidInput, match="one of numpy, cupy"):
        backend.get("torch")


TABLES = {
    "numpy": np.asarray,
    "rational": exact.asarray,
    "fractions": FRACTIONS.asarray,
    "ball": exact.balls,
    "strict": array_api_strict.asarray,
}


def plain(y):
    if isinstance(y, exact.ElementArray):
        return y.astype(float)
    return np.asarray(y)


@pytest.mark.parametrize("name", TABLES)
def test_every_table_gathers_scatters_and_reduces_alike(name):
    x = TABLES[name](np.array([[1.0, 2.0, 4.0], [0.5, 8.0, 1.0]]))
    xp = backend.of(x)
    indices = np.array([2, 0, 2])
    lines = np.array([[2, 2], [0, 1]])
    if xp.name == "array_api":
        indices, lines = array_api_strict.asarray(indices), array_api_strict.asarray(lines)
    cases = {
        "sum": (xp.sum(x, (0,), False), [1.5, 10.0, 5.0]),
        "sum of nothing": (xp.sum(x[0:0, :], (0,), False), [0.0, 0.0, 0.0]),
        "amax": (xp.amax(x, (1,), True), [[4.0], [8.0]]),
        "argmax": (xp.argmax(x, 1), [2, 1]),
        "take": (xp.take(x, indices, 1), [[4.0, 1.0, 4.0], [1.0, 0.5, 1.0]]),
        "scatter": (xp.scatter_add(x, indices, 1, 4), [[2.0, 0.0, 5.0, 0.0], [8.0, 0.0, 1.5, 0.0]]),
        "take along": (xp.take_along_axis(x, lines, 1), [[4.0, 4.0], [0.5, 8.0]]),
        "put along": (xp.put_along_axis_add(x[:, :2], lines, 1, 3), [[0.0, 0.0, 3.0], [0.5, 8.0, 0.0]]),
        "pad": (xp.pad(x, (2, 5), (slice(None), slice(1, 4))), [[0, 1, 2, 4, 0], [0, 0.5, 8, 1, 0]]),
        "transpose": (xp.transpose(x, (1, 0)), [[1.0, 0.5], [2.0, 8.0], [4.0, 1.0]]),
        "reshape": (xp.reshape(x, (3, 2)), [[1.0, 2.0], [4.0, 0.5], [8.0, 1.0]]),
        "broadcast": (xp.broadcast_to(x[:, :1], (2, 2)), [[1.0, 1.0], [0.5, 0.5]]),
        "concat": (xp.concat([x[:, :1], x[:, 2:]], 1), [[1.0, 4.0], [0.5, 1.0]]),
        "onehot": (xp.onehot(xp.indices(2, x), 2, x), [[1.0, 0.0], [0.0, 1.0]]),
        "where": (xp.where(x > 1, x, xp.zeros_like(x)), [[0.0, 2.0, 4.0], [0.0, 8.0, 0.0]]),
        "maximum": (xp.maximum(x, xp.ones_like(x)), [[1.0, 2.0, 4.0], [1.0, 8.0, 1.0]]),
        "minimum": (xp.minimum(x, xp.ones_like(x)), [[1.0, 1.0, 1.0], [0.5, 1.0, 1.0]]),
        "sign": (xp.sign(x - 1), [[0.0, 1.0, 1.0], [-1.0, 1.0, 0.0]]),
        "solve": (xp.solve(x[:, :2], x[:, 2:]), [[30 / 7], [-1 / 7]]),
        "zeros": (xp.zeros((2,), x), [0.0, 0.0]),
    }
    for name, (found, expected) in cases.items():
        assert np.abs(plain(found) - expected).max() <= 2.0**-50, name
        assert plain(found).shape == np.shape(expected), name
    with pytest.raises(SingularMatrix):
        xp.solve(xp.zeros((2, 2), x), x)


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sqrt", "sin", "cos"])
def test_functions_of_balls_and_of_a_strict_library_agree_with_numpys(name):
    x = np.array([0.5, 1.25])
    expected = getattr(backend.NUMPY, name)(x)
    low, high = exact.bounds(getattr(backend.get("ball"), name)(exact.balls(x)))
    for e, a, b in zip(expected, low, high, strict=True):
        # NumPy promises its elementary functions to within 4 units in the last place
        assert a - abs(a) * 4 * Fraction(1, 2**52) <= Fraction(float(e)) <= b + abs(b) * 4 * Fraction(1, 2**52)
    strict = array_api_strict.asarray(x)
    assert (np.asarray(getattr(backend.of(strict), name)(strict)) == expected).all()


def test_logsumexp_does_not_overflow_and_keeps_minus_infinity():
    x = np.array([[1000.0, 1000.0], [-np.inf, -np.inf]])
    with np.errstate(divide="ignore"):
        assert backend.NUMPY.logsumexp(x, (1,), False).tolist() == [1000.0 + math_log_2(), -np.inf]


def math_log_2():
    return float(np.log(2.0))


def test_a_library_of_an_older_standard_lacks_functions_only_where_they_are_called():
    older = SimpleNamespace(**{k: getattr(array_api_strict, k) for k in array_api_strict.__all__ if k != "hypot"})
    older.__name__ = "older"
    table = ArrayAPI(older)
    assert table.exp(array_api_strict.asarray(0.0)) == 1
    with pytest.raises(AttributeError, match="older has no function 'hypot'"):
        table.hypot(array_api_strict.asarray(3.0), array_api_strict.asarray(4.0))


def test_functions_of_balls_take_as_many_arguments_as_they_have():
    b = exact.balls([2])
    with pytest.raises(TypeError, match=r"log: expected 1 argument\(s\), got 2"):
        b.__array_namespace__().log(b, b)


def test_rationals_become_balls_in_a_new_process():
    exact.balls([1])
    program = "from refgrad import exact; print(exact.asarray([1]).astype('ball').dtype)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ball"
