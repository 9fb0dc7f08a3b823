"""Inside `refgrad.debug`, what is silent otherwise is an error that names the place."""

from __future__ import annotations

import inspect
import re
import threading
import warnings

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import (
    checkpoint,
    custom_rule,
    debug,
    exact,
    grad,
    hessian,
    hvp,
    jacrev,
    jvp,
    linearize,
    vmap,
)
from refgrad.autodiff.core import PRIMITIVES, Primitive
from refgrad.autodiff.primitive import elementwise
from refgrad.errors import EscapedTracer, NotFinite, WrongDerivative

X = np.array([1.0, 0.0])


def here(offset=0):
    """This file and the line of the caller."""
    return f"{__file__}:{inspect.currentframe().f_back.f_lineno + offset}"


@pytest.fixture
def primitives():
    """What makes primitives that are gone after the test."""
    made = []

    def make(*args, kind=elementwise, **kwargs) -> Primitive:
        made.append(kind(*args, **kwargs))
        return made[-1]

    yield make
    for primitive in made:
        del PRIMITIVES[primitive.name]


@pytest.fixture(autouse=True)
def silence():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # NumPy's own on 1 / 0
        yield


# the first number that is not finite


def lost(run, *words):
    """The message of the `NotFinite` that `run` raises, which has the words and this test's file."""
    with debug(), pytest.raises(NotFinite) as error:
        run()
    message = str(error.value)
    assert all(word in message for word in (*words, __file__)), message
    return message


def test_the_first_operation_that_makes_infinity_is_named_with_shapes_and_line():
    lines = []

    def f(x):
        y = x * 2
        lines.append(here(1))
        z = np.log(y)
        return np.sum(np.sqrt(z * 0))

    message = lost(lambda: grad(f)(X), "log, of an argument of shape (2,)", "infinity")
    assert message.startswith("log")
    assert lines[0] in message


def test_a_derivative_that_is_infinite_belongs_to_the_operation_whose_rule_it_is():
    lines = []

    def f(x):
        lines.append(here(1))
        y = np.sqrt(x)
        return np.sum(y)

    back = [
        lambda: grad(f)(X),
        lambda: hessian(f)(X),
        lambda: jacrev(f)(X),
        lambda: vmap(grad(f))(np.stack([X, X])),
    ]
    ahead = [lambda: jvp(f, (X,), (X + 1,)), lambda: linearize(f, X)[1](X + 1), lambda: hvp(f, X, X + 1)]
    for run in back:
        message = lost(run, "on the way back, the derivative of sqrt")
        assert lines[-1] in message
    for run in ahead:
        message = lost(run, "the tangent of sqrt")
        assert lines[-1] in message


def test_an_operation_inside_a_rule_is_named_with_the_one_whose_rule_it_is(primitives):
    # x ** 1.5, the derivative of which is finite at 0 while its second derivative is not
    power = primitives(
        "power 3/2",
        lambda x: x * np.sqrt(x),
        d=[lambda t, y, x: t * PRIMITIVES["sqrt"](x) * 3 / 2],
        source="",
        cases=(),
        needs_table=False,
    )
    f = lambda x: np.sum(power(x))
    assert np.isfinite(grad(f)(X)).all()
    lost(lambda: hessian(f)(X), "on the way back, the derivative of sqrt in the derivative of power 3/2")
    lost(lambda: hvp(f, X, X + 1), "the derivative of power 3/2")


def test_what_a_checkpoint_computes_again_is_seen_too():
    lines = []

    def f(x):
        y = x * 2
        lines.append(here(1))
        return np.sum(np.sqrt(y))

    message = lost(lambda: grad(checkpoint(f))(X), "the derivative of sqrt")
    assert lines[0] in message


def test_a_function_with_rules_of_its_own_is_named_and_watched():
    root = custom_rule(jvp=lambda y, xs, ts: ts[0] / (2 * y), vjp=lambda y, xs, u: (u / (2 * y),))(lambda x: np.sqrt(x))
    lines, a = [], np.array([4.0, 0.0])

    def f(x):
        lines.append(here(1))
        y = root(x * a)
        return np.sum(y)

    message = lost(lambda: grad(f)(np.ones(2)), "on the way back, the derivative of ")
    assert lines[0] in message


def test_nan_is_told_from_infinity():
    lost(lambda: grad(lambda x: np.sum(np.log(x - 1)))(X), "log", "NaN")
    lost(lambda: grad(lambda x: np.sum(x / x))(X), "div", "NaN")


def test_infinity_that_was_given_is_nobodys_fault():
    f = lambda x: rnp.logsumexp(x) + np.sum(np.exp(-(x * x)))
    with debug():
        grad(f)(np.array([0.0, -np.inf]))


def test_numbers_that_are_not_finite_can_be_let_pass_and_are_without_debug():
    f = lambda x: np.sum(rnp.where(x > 0, np.log(x), x))
    with debug(nonfinite=False):
        inside = grad(f)(X)
    assert np.array_equal(inside, grad(f)(X), equal_nan=True)
    lost(lambda: grad(f)(X), "log")


# values that escaped


def test_an_escaped_value_is_traced_to_the_line_that_made_it():
    kept, lines = [], []

    def f(x):
        lines.append(here(1))
        kept.append(x * 2)
        kept.append(x)
        return np.sum(x)

    with debug():
        lines.append(here(1))
        grad(f)(X)
    with pytest.raises(EscapedTracer, match="the result of mul") as error:
        kept[0] + 1
    assert lines[1] in str(error.value)
    with pytest.raises(EscapedTracer, match="belongs to the call at") as error:
        grad(lambda x: kept[1])(X)
    assert lines[0] in str(error.value)
    grad(f)(X)
    with pytest.raises(EscapedTracer, match=re.escape("refgrad.debug()")):
        kept[2] + 1


# rules that disagree


@pytest.mark.parametrize("numbers", [np.asarray, exact.asarray], ids=["float", "rational"])
def test_rules_that_are_not_transposes_are_found_at_their_call(primitives, numbers):
    cube = primitives(
        "broken cube",
        lambda x: x * x * x,
        kind=Primitive,
        jvp=lambda y, xs, ts: ts[0] * 3 * xs[0] * xs[0],
        vjp=lambda i, g, y, x: g * 2 * x * x,
        source="",
        cases=(),
        needs_table=False,
    )
    f = lambda x: rnp.sum(cube(2 * x) + x)
    x = numbers([1.0, 2.0])
    grad(f)(x)
    with debug():
        grad(f)(x)
    for run in (
        lambda: grad(f)(x),
        lambda: jvp(f, (x,), (x,)),
        lambda: hvp(f, x, x),
        lambda: vmap(grad(f))(rnp.stack([x, x])),
    ):
        with debug(adjoint=True), pytest.raises(WrongDerivative, match="the rules of broken cube") as error:
            run()
        assert __file__ in str(error.value)


def test_inside_vmap_the_rules_are_compared_for_one_example(primitives):
    shapes = []

    def square(x):
        if isinstance(x, exact.ElementArray):
            shapes.append(x.shape)
        return x * x

    square = primitives("square", square, d=[lambda t, y, x: 2 * t * x], source="", cases=(), needs_table=False)
    with debug(adjoint=True):
        vmap(grad(lambda x: np.sum(square(x))))(np.ones((3, 2)))
    assert set(shapes) == {(2,)}


def test_rules_that_are_right_pass_on_all_kinds_of_numbers():
    f = lambda x: rnp.sum(np.tanh(x[np.array([0, 0])]) * x) + x @ rnp.linalg.solve(np.eye(2) + rnp.outer(x, x), x)
    with debug(adjoint=True):
        assert np.isfinite(hvp(f, X, X)).all()
        assert (vmap(grad(f))(np.stack([X, X]))[0] == grad(f)(X)).all()
        grad(lambda x: rnp.sum(x * x / 3))(exact.asarray([1, 2]))
        grad(lambda x: rnp.sum(np.tanh(x)))(exact.balls([1, 2]))


# the block


def test_blocks_nest_and_the_innermost_decides():
    f = lambda x: np.sum(np.sqrt(x))
    with debug():
        with debug(nonfinite=False):
            assert grad(f)(X)[1] == np.inf
        with pytest.raises(NotFinite):
            grad(f)(X)
    assert grad(f)(X)[1] == np.inf


def test_the_block_ends_with_an_exception_too():
    f = lambda x: np.sum(np.sqrt(x))
    with pytest.raises(NotFinite), debug():
        grad(f)(X)
    assert grad(f)(X)[1] == np.inf


def test_the_block_is_that_of_its_thread():
    f, found, entered, done = lambda x: np.sum(np.sqrt(x)), [], threading.Event(), threading.Event()

    def other():
        entered.wait()
        found.append(grad(f)(X)[1])
        done.set()

    thread = threading.Thread(target=other)
    thread.start()
    with debug():
        entered.set()
        assert done.wait(60)
        with pytest.raises(NotFinite):
            grad(f)(X)
    thread.join()
    assert found == [np.inf]


def test_results_inside_the_block_are_the_same_bits():
    f = lambda w: np.mean(np.tanh(np.ones((3, 2)) @ w) ** 2) + rnp.logsumexp(w)
    w = np.array([[0.3, -1.0], [0.2, 0.7]])
    plain = (grad(f)(w), hvp(f, w, w), hessian(f)(w), vmap(grad(f))(np.stack([w, -w])))
    with debug(adjoint=True):
        watched = (grad(f)(w), hvp(f, w, w), hessian(f)(w), vmap(grad(f))(np.stack([w, -w])))
    for a, b in zip(plain, watched, strict=True):
        assert a.tobytes() == b.tobytes()
