"""In exact arithmetic a derivative at a kink is `Kink`, an `Undecided`, never a number; values are what they are."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import refgrad.numpy as rnp
from refgrad import check_derivatives, exact, grad, hvp, jvp, linearize, stop_gradient, vjp, vmap
from refgrad.autodiff.core import PRIMITIVES
from refgrad.errors import Inconclusive, Kink, Undecided
from refgrad.numpy import nn

HALF = Fraction(1, 2)
pair = lambda x: rnp.stack([x, 1 - x])
matrix = lambda x: rnp.stack([rnp.stack([x, x]), rnp.stack([1 - x, x])])

# a function, a point where a part of it has a kink, and the value there
KINKS = {
    "abs": (abs, 0, 0),
    "the square of abs": (lambda x: abs(x) ** 2, 0, 0),
    "the square of a maximum": (lambda x: np.maximum(x, -x) ** 2, 0, 0),
    "minimum": (lambda x: np.minimum(x, 1 - x), HALF, HALF),
    "maximum of a number with itself": (lambda x: np.maximum(x, x), 3, 3),
    "relu": (lambda x: rnp.relu(x) ** 3, 0, 0),
    "leaky relu": (lambda x: nn.leaky_relu(x, exact.asarray("1/2")), 0, 0),
    "elu": (lambda x: nn.elu(x), 0, 0),
    "clip at the lower end": (lambda x: np.clip(x, 0, 1), 0, 0),
    "clip at the upper end": (lambda x: np.clip(x, 0, 1), 1, 1),
    "clip by its lower limit": (lambda x: np.clip(exact.asarray(1), x, 2), 1, 1),
    "clip by its upper limit": (lambda x: np.clip(exact.asarray(1), 0, x), 1, 1),
    "huber at delta": (lambda x: nn.huber(x, exact.asarray(0)), -1, HALF),
    "the largest": (lambda x: np.max(pair(x)), HALF, HALF),
    "the smallest": (lambda x: np.min(pair(x)), HALF, HALF),
    "max minus min": (lambda x: rnp.ptp(pair(x)), HALF, 0),
    "sort": (lambda x: np.sum(np.sort(pair(x)) * np.array([1, 2])), HALF, 3 * HALF),
    "argsort": (lambda x: np.take(pair(x), np.argsort(pair(x)))[0], HALF, HALF),
    "argmax": (lambda x: pair(x)[int(np.argmax(pair(x)))], HALF, HALF),
    "argmin": (lambda x: pair(x)[int(np.argmin(pair(x)))], HALF, HALF),
    "max_pool": (lambda x: np.sum(nn.max_pool(rnp.reshape(pair(x), (1, 1, 2)), (2,))), HALF, HALF),
    "sign": (lambda x: np.sign(x) * x, 0, 0),
    "floor": (lambda x: np.floor(x) * x, 2, 4),
    "ceil": (lambda x: np.ceil(x) * x, 2, 4),
    "rint": (lambda x: np.rint(x) * x, 3 * HALF, 3),
    "norm 1": (lambda x: rnp.linalg.norm(rnp.stack([x, 1 + x]), 1) ** 2, 0, 1),
    "norm infinity": (lambda x: rnp.linalg.norm(pair(x), np.inf), HALF, HALF),
    "norm -infinity": (lambda x: rnp.linalg.norm(pair(x), -np.inf), HALF, HALF),
    "norm 1 of a matrix": (lambda x: rnp.linalg.norm(matrix(x), 1), HALF, 1),
    "norm 2": (lambda x: rnp.linalg.norm(rnp.stack([x, x])) ** 2, 0, 0),
    "hypot": (lambda x: np.hypot(x, 2 * x) ** 2, 0, 0),
    "sign of a determinant": (lambda x: rnp.linalg.slogdet(rnp.stack([pair(x), pair(1 - x)]))[0], HALF, 0),
}
KINDS = [(name, kind) for name in KINKS for kind in (exact.asarray, exact.balls)]
MODES = {
    "grad": lambda f, x, v: grad(f)(x),
    "vjp": lambda f, x, v: vjp(f, x)[1](v)[0],
    "jvp": lambda f, x, v: jvp(f, (x,), (v,))[1],
    "linearize": lambda f, x, v: linearize(f, x)[1](v),
    "grad of grad": lambda f, x, v: grad(grad(f))(x),
    "jvp of grad": lambda f, x, v: hvp(f, x, v),
    "jvp of jvp": lambda f, x, v: jvp(lambda x: jvp(f, (x,), (v,))[1], (x,), (v,))[1],
    "a batch of grad": lambda f, x, v: vmap(grad(f))(rnp.stack([x + Fraction(1, 7), x])),
    "grad of a batch": lambda f, x, v: grad(lambda X: np.sum(vmap(f)(X)))(rnp.stack([x + Fraction(1, 7), x])),
}
IRRATIONAL = {"elu", "norm 2", "hypot", "sign of a determinant"}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("name", "kind"), KINDS, ids=[f"{name}-{kind.__name__}" for name, kind in KINDS])
def test_a_derivative_at_a_kink_is_undecided_in_every_mode(name, kind, mode):
    f, point, value = KINKS[name]
    if kind is exact.asarray and name in IRRATIONAL:
        kind = exact.balls  # of a rational these functions are irrational
    x, v = kind(point), kind(1)
    if mode.startswith(("a batch", "grad of a batch")) and name in ("argmax", "argmin"):
        f = lambda x: np.take_along_axis(pair(x), rnp.reshape(getattr(rnp, name)(pair(x)), (1,)), 0)[0]
    low, high = exact.bounds(f(x))
    assert low <= value <= high
    with pytest.raises(Kink, match="where it has no derivative"):
        MODES[mode](f, x, v)


@pytest.mark.parametrize("name", KINKS)
def test_beside_a_kink_there_is_a_derivative_and_floats_keep_their_conventions(name):
    f, point, _ = KINKS[name]
    if name != "maximum of a number with itself":
        beside = exact.evaluate(grad(f), exact.asarray(point) + exact.asarray("1/1000"))
        assert beside.high - beside.low < Fraction(1, 2**60)
    if name not in ("leaky relu", "clip by its lower limit", "clip by its upper limit", "huber at delta"):
        assert np.isfinite(grad(f)(float(point)))  # those have rational constants
    with pytest.raises(Kink):
        exact.evaluate(grad(f), exact.asarray(point))


@pytest.mark.parametrize(("name", "end"), [("log", 0), ("log1p", -1)])
def test_logarithms_have_no_derivative_from_the_end_of_their_domain_on(name, end):
    f = getattr(rnp, name)
    for x in (end, end - 1):
        with pytest.raises(Kink, match=f"{name}: "):
            grad(f)(exact.balls(x))
    assert exact.bounds(grad(f)(exact.balls(end) + Fraction(1, 4)))[0] == 4


def test_what_is_smooth_through_a_kink_is_no_number_and_what_has_no_kink_is_the_right_one():
    # x^2 has the second derivative 2, which the conventions at the kink do not give
    square = lambda x: np.maximum(x, -x) ** 2
    assert grad(grad(square))(0.0) == 0
    assert exact.evaluate(grad(grad(square)), 0.5).low == 2
    with pytest.raises(Undecided):
        exact.evaluate(grad(grad(square)), 0.0)
    huber = lambda x: nn.huber(x, exact.asarray(0))
    assert exact.evaluate(grad(huber), 0.0).low == 0
    assert exact.evaluate(grad(grad(huber)), 0.0).low == 1
    assert exact.evaluate(grad(lambda x: np.where(x > 0, x, -x)), 0.0).low == -1  # as the caller has decided


def test_a_kink_among_many_elements_counts_whatever_is_multiplied_with_it():
    x = exact.asarray([3, 0, -2])
    assert (grad(lambda x: np.sum(abs(x)))(x[np.array([0, 2])]) == [1, -1]).all()
    for f in (lambda x: np.sum(abs(x)), lambda x: np.sum(abs(x) * np.array([1, 0, 1])), lambda x: abs(x)[0]):
        with pytest.raises(Kink):
            grad(f)(x)
    largest = exact.asarray([[1, 5, 2], [4, 4, 3]])
    assert (grad(lambda x: np.sum(np.max(x, axis=0)))(largest) == [[0, 1, 0], [1, 0, 1]]).all()
    with pytest.raises(Kink, match="amax"):
        grad(lambda x: np.sum(np.max(x, axis=1)))(largest)
    # no derivative passes through this one
    assert grad(lambda x: x[0] * stop_gradient(np.max(abs(x[1:] * x[1:] - 2))))(x)[0] == 2


def test_balls_that_may_or_may_not_lie_at_a_kink_are_asked_again_with_more_bits():
    near = lambda x: (np.exp(x * 200) + Fraction(1, 2**40)) - np.exp(x * 200)  # 2^-40, by way of a large number
    found = exact.evaluate(lambda x: grad(abs)(near(x)), 1.0)
    assert found.bits > 128
    assert found.low <= 1 <= found.high
    with pytest.raises(Inconclusive):
        exact.evaluate(lambda x: grad(abs)(np.exp(x) - np.exp(x)), 1.0)


def test_attention_at_equal_scores_is_smooth_in_every_mode():
    q = exact.balls([[1, 0], [0, 1]])
    attend = lambda q: np.sum(nn.dot_product_attention(q, 0 * q + 1, q, causal=True))
    low, high = exact.bounds(jvp(attend, (q,), (q,))[1])
    below, above = exact.bounds(np.sum(grad(attend)(q) * q))
    assert low <= above
    assert below <= high


def test_a_check_of_derivatives_says_that_a_kink_was_not_decided():
    pytest.importorskip("flint", reason="balls need python-flint, which the extra exact brings")
    report = check_derivatives(lambda x: np.max(x) * 2, np.array([1.0, 1.0]))
    assert "Kink: amax" in report.unchecked[0]


def test_every_primitive_without_rules_that_jumps_says_where():
    # comparisons, tests and operations on bits are decisions of the caller's; the index of a choice is not
    jumps = {name for name, p in PRIMITIVES.items() if p.jvp is None and p.kink is not None}
    assert jumps == {"sign", "floor", "ceil", "rint", "argsort", "argmax", "det_sign"}
    silent = {name for name, p in PRIMITIVES.items() if p.jvp is None and p.kink is None}
    assert silent == {
        "bitwise_and", "bitwise_or", "bitwise_xor", "eq", "ge", "gt", "invert", "isfinite", "isnan", "le", "lt", "ne",
        "stop_gradient",
    }  # fmt: skip
