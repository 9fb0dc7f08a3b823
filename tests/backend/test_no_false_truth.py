"""What once came out as a false truth: a wrong enclosure, a leaked float, a misread argument, a false reason."""

from __future__ import annotations

import copy
import math
import pickle
import threading
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from helpers.fraction_arrays import FRACTIONS

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp
from refgrad.errors import (
    Inconclusive,
    InvalidInput,
    NotRational,
    ShapeError,
    SingularMatrix,
    Undecided,
    UndecidedSingular,
)
from refgrad.meta import maml_gradient
from refgrad.multitask import min_norm

A = exact.asarray([[1, "1/3"], ["2/5", 4]])
V = exact.asarray([3, -4])
BOTH = pytest.mark.parametrize("asarray", [exact.asarray, FRACTIONS.asarray], ids=["fmpq", "Fraction"])


def hidden(x, size):
    """x[0], by way of numbers of the size of exp(size) that cancel."""
    big = rnp.exp(x[1] * size)
    return (big + x[0]) - big


def test_the_derivatives_of_logsumexp_enclose_where_its_value_is_not_known():
    f = lambda x: grad(rnp.logsumexp)(rnp.stack([x[0], hidden(x, 200)]))[0]
    truth = exact.evaluate(f, np.array([1.0, 1.0]))
    assert truth.bits > 256
    assert truth.low <= Fraction(1, 2) <= truth.high
    wide = exact.balls([0, 0])
    wide.data[1] = type(wide.data[1])(0, 200)
    for derivative in (
        grad(rnp.logsumexp)(wide),
        hvp(rnp.logsumexp, wide, 0 * wide + 1),
        jvp(rnp.logsumexp, (wide,), (0 * wide + 1,))[1],
    ):
        with pytest.raises(Undecided):
            exact.bounds(derivative)
    with np.errstate(divide="ignore"):
        assert grad(rnp.logsumexp)(np.array([0.0, -np.inf])).tolist() == [1.0, 0.0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: math.sqrt(x),
        lambda x: math.sqrt(rnp.exp(x)),
        lambda x: float(x) / 3,
        lambda x: x.astype(float) / 3,
        lambda x: np.array([0.1]),
        lambda x: {"a": x, "b": 0.5},
        lambda x: "0.1",
    ],
)
def test_floats_are_no_truth(f):
    with pytest.raises(InvalidInput, match=r"evaluate: expected f to return exact arrays, got"):
        exact.evaluate(f, 2.0)


def test_whole_numbers_divided_as_python_does_are_no_truth_either():
    for x in (1, np.array([1, 2])):
        with pytest.raises(InvalidInput, match="quotients of Python ints are floats"):
            exact.evaluate(lambda x: x / 3, x)
        with pytest.raises(InvalidInput):
            exact.attainable(lambda x: x / 3, x)
    assert exact.evaluate(lambda x, i: x[i], np.array([0.5, 2.0]), np.array([1, 0])).low.tolist() == [2, Fraction(1, 2)]
    assert exact.evaluate(lambda x: x > 1, np.array([0.5, 2.0])).low.tolist() == [0, 1]


def test_balls_of_ones_own_are_never_called_exact_and_their_width_is_the_results():
    truth = exact.evaluate(lambda x: np.exp(exact.balls(x)), 1.0)
    assert not truth.exact
    assert truth.high.item() - truth.low.item() <= truth.high.item() / 2**73
    wide = exact.balls(1)
    wide.data[()] = type(wide.data[()])(1, 0.5)
    with pytest.raises(Inconclusive, match="whose width no precision removes"):
        exact.evaluate(lambda x: x * 1, wide)
    assert repr(exact.evaluate(lambda x: x / 3, 1.0)) == "Enclosure(exact, ExactArray(1/3))"


def test_arrays_of_other_libraries_and_masked_ones_are_refused():
    masked = np.ma.array([1.0, 2.0], mask=[0, 1])
    for use in (exact.asarray, exact.balls, lambda x: exact.evaluate(np.sum, x), lambda x: exact.error(x, V)):
        with pytest.raises(InvalidInput, match="asarray"):
            use(masked)

    class Foreign:
        shape = (2,)

        def __dlpack__(self):
            return object()

    with pytest.raises(InvalidInput, match=r"numpy.asarray\(x\)"):
        exact.evaluate(lambda x: x, Foreign())
    with pytest.raises(TypeError, match="to compare with, got Foreign"):
        V.__eq__(Foreign())


def test_what_is_not_known_at_one_precision_is_asked_again_at_the_next():
    x = np.array([1.0, 1.0])

    def solved(x):
        c = hidden(x, 200)
        return np.linalg.solve(rnp.stack([rnp.stack([c, c]), rnp.stack([-c, c])]), x)

    assert exact.evaluate(solved, x).bits > 256
    loss = lambda theta, batch: rnp.sum((theta - batch) ** 4)
    adapted = lambda x: maml_gradient(loss, rnp.stack([hidden(x, 500)]), [(x[:1] + 1, x[:1])], Fraction(1, 64), 2)
    assert exact.evaluate(adapted, x).bits > 512
    rows = lambda x: rnp.stack([rnp.stack([hidden(x, 500), x[1]]), rnp.stack([-3 * x[0], x[1]])])
    shortest = lambda x: min_norm(rows(x)).direction
    assert exact.evaluate(shortest, x).bits > 512
    with pytest.raises(UndecidedSingular, match="bits") as caught:
        np.linalg.inv(exact.balls([[1, 1], [1, 1]]))
    assert isinstance(caught.value, SingularMatrix)


@BOTH
def test_empty_products_and_floats_in_lists_leak_nothing(asarray):
    empty, v = asarray([]), asarray([3, -4])
    for made, value in (
        (np.prod(empty), 1),
        (np.inner(empty, empty), 0),
        (np.vdot(empty, empty), 0),
        (np.vdot(v, v), 25),
        (np.einsum("i->", empty), 0),
        (np.trace(asarray(np.zeros((0, 0)))), 0),
    ):
        assert type(made) is type(v)
        assert made / 3 == Fraction(value, 3)
    for leak in (
        lambda: np.einsum("i,i", v, [0.5, 0.5]),
        lambda: np.einsum("i,i", v, [0.0, 0.0]),
        lambda: np.outer(v, 0.5),
        lambda: np.minimum(v, 0.5),
        lambda: np.minimum(0.5, v),
        lambda: np.clip(v, None, 0.5),
        lambda: np.vecdot(np.array([0.5, 0.1]), v),
        lambda: np.power(0.5, v),
        lambda: 2**v,
        lambda: np.dot(v, 0.5),
    ):
        with pytest.raises(NotRational):
            leak()
    for raw in ([1, 3], [Fraction(1, 2), 3]):
        assert (type(v)(np.array(raw, object)) / 3 * 3 == raw).all()


def test_powers_of_numbers_by_balls_are_enclosed():
    for found in (2 ** exact.balls([3]), np.power(2, exact.balls([3])), rnp.power(2, exact.balls([3]))):
        low, high = exact.bounds(found)
        assert low[0] <= 8 <= high[0]


def test_arguments_that_numpy_reads_otherwise_are_refused_and_not_misread():
    w = exact.balls([3, -4])
    assert np.linalg.norm(w, 2) == 5
    assert np.linalg.norm(w, ord=2, axis=0) == 5
    assert np.linalg.norm(exact.balls([[3], [4]]), "fro") == 5
    for refused in (
        lambda: np.linalg.norm(w, 1),
        lambda: np.linalg.norm(w, np.inf),
        lambda: np.linalg.norm(exact.balls(A), 2),
        lambda: np.pad(V, 1),
        lambda: np.sum(V, where=[True, False]),
        lambda: np.add(V, V, dtype=float),
    ):
        with pytest.raises(TypeError, match="exact arrays"):
            refused()
    for axis in (2, -3, (0, 0), (0, -2)):
        for use in (np.sum, np.max, np.mean):
            with pytest.raises(ShapeError, match="different axes between -2 and 1"):
                use(A, axis=axis)
    with pytest.raises(ShapeError):
        exact.asarray(3).sum(0)
    with pytest.raises(ShapeError, match="stacks"):
        np.dot(exact.asarray(np.ones((2, 2, 2))), A)
    assert (np.dot(V, 2) == [6, -8]).all()
    assert np.argmax(A) == 3
    assert np.argmin(A) == 1
    assert (np.take(A, [0, 3]) == [1, 4]).all()
    assert (np.sort(A, axis=None) == exact.asarray(["1/3", "2/5", 1, 4])).all()
    assert (np.zeros_like(A, dtype=float) == 0).all()


@BOTH
@pytest.mark.parametrize(
    "call",
    [
        lambda a: np.linalg.det(a([[1, 2, 3], [4, 5, 6]])),
        lambda a: np.linalg.det(a([1, 2])),
        lambda a: np.linalg.inv(a([[1, 2, 3], [4, 5, 6]])),
        lambda a: np.linalg.solve(a([[1]]), a([[1], [2]])),
        lambda a: np.linalg.solve(a([[1, 2], [3, 4]]), a([1, 2, 3])),
        lambda a: np.linalg.matrix_power(a([[1, 2, 3]]), 2),
    ],
)
def test_shapes_that_do_not_fit_are_named_alike_for_both_types(asarray, call):
    with pytest.raises(ShapeError, match="expected"):
        call(asarray)
    assert np.linalg.inv(asarray(np.zeros((0, 2, 2)))).shape == (0, 2, 2)
    assert np.linalg.det(asarray(np.zeros((0, 3, 3)))).shape == (0,)


def test_a_ball_of_which_nothing_is_known_is_not_equal_to_itself():
    nothing = 1 / exact.balls([0])
    assert rnp.isnan(nothing).all()
    assert not rnp.isnan(exact.balls([0])).any()
    assert not rnp.isnan(A).any()
    assert rnp.isnan(np.array([np.nan, 1.0])).tolist() == [True, False]
    with pytest.raises(Undecided):
        nothing == nothing  # noqa: B015
    for other in (copy.deepcopy(nothing), pickle.loads(pickle.dumps(nothing))):
        assert np.isnan(other).all()


def test_astype_rounds_once_and_to_what_was_asked_for():
    q = Fraction(1) + Fraction(1, 2**24) + Fraction(1, 2**60)
    x = exact.asarray([q, 1 + Fraction(1, 2**24), -q, Fraction(1, 2**151), Fraction(10) ** 400])
    assert x.astype(np.float32).tolist() == [1 + 2.0**-23, 1.0, -1 - 2.0**-23, 0.0, math.inf]
    assert x.astype(float)[4] == math.inf
    assert exact.asarray(2**53 + 1).astype(int) == 2**53 + 1
    with pytest.raises(InvalidInput, match="whole"):
        exact.asarray("7/2").astype(int)
    for dtype in (object, complex, np.longdouble):
        with pytest.raises(InvalidInput, match="dtype of floats"):
            A.astype(dtype)


def test_an_exact_constant_before_a_traced_value_or_a_ball_gives_way_to_it():
    f = lambda x: np.sum(np.maximum(V, x)) + np.sum(np.minimum(V, x)) + np.sum(np.where([True, False], V, x))
    assert (grad(f)(V + 1) == [1, 2]).all()
    assert (grad(lambda x: np.sum(np.concatenate([V, x]) * 2))(V) == 2).all()
    assert (grad(lambda x: np.sum(np.linalg.solve(A, x)))(V) == np.linalg.inv(A).sum(axis=0)).all()
    third = exact.balls(["1/3", 2])
    for made in (np.maximum(V, third), np.concatenate([V, third]), np.stack([V, third]), np.add(V, third)):
        assert made.dtype == "ball"


def test_threads_take_turns_with_the_precision_and_leave_it_as_it_was():
    def width():
        low, high = exact.bounds(np.exp(exact.balls(1)))
        return high[()] - low[()]

    before, found = width(), {}

    def work(bits):
        for _ in range(20):
            with exact.precision(bits):
                found.setdefault(bits, set()).add(width())

    threads = [threading.Thread(target=work, args=(bits,)) for bits in (64, 100, 200, 400)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(len(widths) == 1 for widths in found.values())
    assert width() == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: exact.asarray("x"), "'1/3' or '0.1', got 'x'"),
        (lambda: exact.asarray("1/0"), "got '1/0'"),
        (lambda: exact.asarray([1, [2, 3]]), "rows of one shape|shape"),
        (lambda: exact.evaluate(np.sum, 1.0, bits="a"), "bits"),
        (lambda: exact.evaluate(np.sum, 1.0, bits=0), "bits"),
        (lambda: exact.precision(-3).__enter__(), "at least 2"),
        (lambda: exact.precision(1.5).__enter__(), "at least 2"),
        (lambda: exact.attainable(np.sum, V, patterns=0), "at least 1"),
        (lambda: exact.attainable(np.sum, V, None), "'float64' or 'float32'"),
        (lambda: exact.attainable(np.sum, V, magnitude="a"), "'1/3'"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises((InvalidInput, ValueError), match=words):
        call()


def test_a_decimal_is_exact_and_a_ball_is_sent_to_its_bounds():
    assert exact.asarray(Decimal("0.1")) == Fraction(1, 10)
    for use in (exact.asarray, exact.to_fractions, lambda x: exact.error(x, V)):
        with pytest.raises(TypeError, match=r"refgrad\.exact\.bounds"):
            use(exact.balls([1, 2]))
    for bad in (None, 1j, {}, object()):
        with pytest.raises(TypeError, match="expected an int, a Fraction"):
            exact.asarray(bad)


def test_a_rational_constant_meets_balls_in_either_order():
    a, ones = exact.asarray([1, 2, 3]), np.ones(3)
    for f in (
        lambda x: rnp.maximum(rnp.exp(x), a),
        lambda x: rnp.where(x > 0, rnp.exp(x), a),
        lambda x: rnp.concatenate([rnp.exp(x), a]),
        lambda x: grad(lambda t: rnp.sum(rnp.maximum(rnp.exp(t), a)))(x),
        lambda x: rnp.linalg.solve(rnp.exp(x) * np.eye(3, dtype=int), a),
        lambda x: grad(lambda t: rnp.sum(t * rnp.exp(x) * a))(x),
    ):
        assert not exact.evaluate(f, ones).exact
    truth = exact.evaluate(lambda x: rnp.maximum(rnp.exp(x), a), ones)
    assert truth.low[2] == truth.high[2] == 3
    with pytest.raises(NotRational):
        exact.balls([1]).astype("rational")


def test_rounding_a_great_many_numbers_is_as_exact_as_one():
    rng = np.random.default_rng(0)
    doubles = rng.normal(size=2000)
    halfway = np.float32(doubles).astype(float) + np.spacing(np.float32(doubles)).astype(float) / 2
    tiny = Fraction(1, 2**200)
    q = [Fraction(x) for x in doubles] + [Fraction(x) + s * tiny for x in halfway for s in (-1, 0, 1)]
    found = exact.asarray(np.array(q, object)).astype(np.float32)
    for number, y in zip(q, found, strict=True):
        distance = abs(Fraction(float(y)) - number)
        for side in (-np.inf, np.inf):
            other = abs(Fraction(float(np.nextafter(y, np.float32(side)))) - number)
            assert distance < other or (distance == other and int(y.view(np.int32)) % 2 == 0)


def test_an_array_on_another_device_or_of_another_library_is_refused_with_the_way_to_the_host():
    for library, way in (("cupy", r"x\.get\(\)"), ("torch", r"numpy\.asarray\(x\)")):
        array = type("ndarray", (), {"__module__": library, "__dlpack__": None})()
        with pytest.raises(InvalidInput, match=rf"got {library}\.ndarray: write {way} first"):
            exact.evaluate(lambda x: x, array)
