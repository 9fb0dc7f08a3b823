"""Integers do not wrap round inside a certificate: they are exact, or the way is refused; indices stay indices."""

from __future__ import annotations

import operator
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, vmap
from refgrad.errors import InvalidInput, NotRational
from refgrad.numpy import nn

ONE = np.array([1.0])
DTYPES = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
ARITHMETIC = {
    "n + n": lambda n: n + n,
    "n - 1 - n - n": lambda n: n - 1 - n - n,
    "n * n": lambda n: n * n,
    "-n": lambda n: -n,
    "|n|": lambda n: abs(n),
    "n ** 5": lambda n: n**5,
    "n << 3": lambda n: n << 3,
    "np.square": np.square,
    "n @ n": lambda n: [n @ n],
    "np.dot": lambda n: [np.dot(n, n)],
    "n.dot": lambda n: [n.dot(n)],
    "np.inner": lambda n: [np.inner(n, n)],
    "np.outer": lambda n: np.outer(n, n),
    "np.einsum": lambda n: [np.einsum("i,i", n, n)],
    "np.kron": lambda n: np.kron(n, n),
    "np.tensordot": lambda n: [np.tensordot(n, n, 1)],
    "np.convolve": lambda n: np.convolve(n, n),
    "np.trace": lambda n: [np.trace(np.outer(n, n))],
    "n.cumsum": lambda n: n.cumsum(),
    "n.cumprod": lambda n: n.cumprod(),
    "np.sum": lambda n: [np.sum(n * n)],
    "n.sum": lambda n: [n.sum()],
    "np.prod": lambda n: [np.prod(n)],
    "np.add.reduce": lambda n: [np.add.reduce(n, dtype=n.dtype)],
    "np.diff": lambda n: np.diff(n),
    "n[0] * n[1]": lambda n: [n[0] * n[1]],
    "by elements": lambda n: [sum(k for k in n)],
    "rnp.prod": lambda n: [rnp.prod(n)],
    "rnp.cumsum": lambda n: rnp.cumsum(n),
    "rnp.einsum": lambda n: [rnp.einsum("i,i->", n, n)],
    "rnp.matmul": lambda n: [rnp.matmul(n, n)],
    "rnp.power": lambda n: rnp.power(n, 3),
}


def in_python(name, numbers):
    """The same function of Python's ints, which have no end."""
    return np.asarray(ARITHMETIC[name](np.array(numbers, object)), object)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ARITHMETIC)
def test_arithmetic_of_integers_is_that_of_the_whole_numbers(name, dtype):
    ends = np.iinfo(dtype)
    numbers = [ends.max, ends.min, ends.max - 1, 3]
    integers = np.array(numbers, dtype)
    if name.startswith(("np.add.reduce", "rnp")):
        expected = {
            "np.add.reduce": lambda: [sum(numbers)],
            "rnp.prod": lambda: [numbers[0] * numbers[1] * numbers[2] * 3],
            "rnp.cumsum": lambda: [sum(numbers[: k + 1]) for k in range(4)],
            "rnp.einsum": lambda: [sum(k * k for k in numbers)],
            "rnp.matmul": lambda: [sum(k * k for k in numbers)],
            "rnp.power": lambda: [k**3 for k in numbers],
        }[name]()
    else:
        expected = in_python(name, numbers)
    found = exact.evaluate(lambda n, x: [part * x[0] for part in exact_parts(ARITHMETIC[name](n))], integers, ONE)
    assert [int(v.item()) for v in found.low] == [int(v) for v in np.asarray(expected, object).ravel()]
    assert integers.tolist() == numbers


def exact_parts(y):
    """The numbers of an array, each of shape ()."""
    parts = y if isinstance(y, list) else [y]
    return [part[i] for part in parts for i in np.ndindex(np.shape(part))]


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(
    st.sampled_from([operator.add, operator.sub, operator.mul]),
    st.lists(st.sampled_from([-128, -127, -1, 0, 1, 2, 100, 127]), min_size=2, max_size=2),
    st.sampled_from(["both", "captured", "int"]),
)
def test_integers_that_meet_others_are_exact_too(op, pair, how):
    a, b = (np.array([k], np.int8) for k in pair)
    f = {
        "both": lambda a, b, x: op(a, b) * x,
        "captured": lambda a, _, x: op(np.array([pair[0]], np.int8), a.copy() * 0 + np.int8(pair[1])) * x,
        "int": lambda a, _, x: op(a, pair[1]) * x,
    }[how]
    assert exact.evaluate(f, a, b, ONE).low.tolist() == [op(*pair)]


def test_what_is_written_into_integers_has_a_place_there_or_is_refused():
    n = np.array([200, 3], np.uint8)

    def changed(n, x, k):
        n[0] = n[0] + k
        return n * x

    assert exact.evaluate(changed, n, ONE, 55).low.tolist() == [255, 3]
    for refused in (
        lambda n, x: changed(n, x, 56),
        lambda n, x: n.__iadd__(n) * x,
        lambda n, x: n.astype(np.int8) * x,
        lambda n, x: np.add.at(n, 0, 1) * x,
    ):
        with pytest.raises((InvalidInput, TypeError)):
            exact.evaluate(refused, n, ONE)
    assert exact.evaluate(lambda n, x: n.__iadd__(5) * x, n, ONE).low.tolist() == [205, 8]
    assert exact.evaluate(lambda n, x: n.astype(np.int16) * 300 * x, n, ONE).low.tolist() == [60000, 900]
    assert n.tolist() == [200, 3]


def test_numbers_of_numpys_and_booleans_are_exact_as_well():
    assert exact.evaluate(lambda n, x: (n + n) * x, np.uint8(200), ONE).low.tolist() == [400]
    mask = np.array([True, False])
    assert exact.evaluate(lambda m, x: (m + m) * x, mask, ONE).low.tolist() == [2, 0]
    assert exact.evaluate(lambda m, x: m @ np.ones(2, bool) * x, np.array([True, True]), ONE).low.tolist() == [2]
    assert exact.evaluate(lambda m, x: x[m | ~m], mask, np.array([0.5, 2.0])).low.tolist() == [HALF, 2]
    assert exact.evaluate(lambda n: n + n, np.array([200], np.uint8)).low.tolist() == [400]


HALF = Fraction(1, 2)


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x, i, m: x[i], [2, HALF]),
        (lambda x, i, m: x[i + 1 - 1], [2, HALF]),
        (lambda x, i, m: x[(i + 3) % 2], [HALF, 2]),
        (lambda x, i, m: x[m], [HALF]),
        (lambda x, i, m: np.where(m, x, 0), [HALF, 0]),
        (lambda x, i, m: np.where(i == 1, x, 0), [HALF, 0]),
        (lambda x, i, m: np.take(x, i), [2, HALF]),
        (lambda x, i, m: np.take_along_axis(x, i, 0), [2, HALF]),
        (lambda x, i, m: x[np.argsort(i)], [2, HALF]),
        (lambda x, i, m: x[i[0]] * np.ones(i.shape, int), [2, 2]),
        (lambda x, i, m: rnp.stack([x[k] for k in i]), [2, HALF]),
        (lambda x, i, m: sum(x for _ in range(i[0] + 1)), [1, 4]),
        (lambda x, i, m: grad(lambda x: rnp.sum(x[i] ** 2 * np.array([1, 2])))(x), [2, 4]),
        (lambda x, i, m: vmap(lambda x, i: x * i)(x, i), [HALF, 0]),
        (lambda x, i, m: grad(lambda x: rnp.sum(rnp.where(m, x, x * x)))(x), [1, 4]),
    ],
)
def test_indices_labels_and_masks_are_what_they_were(f, expected):
    found = exact.evaluate(f, np.array([0.5, 2.0]), np.array([1, 0], np.uint8), np.array([True, False]))
    assert found.exact
    assert found.low.tolist() == expected


def test_labels_of_a_loss_are_labels():
    logits, labels = np.array([[0.5, 1.0], [1.0, 2.0]]), np.array([1, 0], np.uint8)
    found = exact.evaluate(grad(nn.cross_entropy), logits, labels)
    other = exact.evaluate(grad(lambda z: -rnp.mean(z[np.arange(2), labels] - rnp.logsumexp(z, axis=1))), logits)
    assert np.all(found.low <= other.high)
    assert np.all(other.low <= found.high)


def test_a_remainder_of_a_division_by_zero_is_no_zero():
    for f in (lambda n, x: n % 0 * x, lambda n, x: n // 0 * x):
        with np.errstate(divide="ignore"), pytest.raises(ZeroDivisionError):
            exact.evaluate(f, np.array([3]), ONE)


def test_floats_that_integers_were_made_of_are_refused_as_ever():
    for f in (
        lambda n, x: n / 3 * x,
        lambda n, x: n * 0.5 * x,
        lambda n, x: np.mean(n) * x,
        lambda n, x: n.astype(float) * x,
    ):
        with pytest.raises(NotRational):
            exact.evaluate(f, np.array([1, 2]), ONE)
