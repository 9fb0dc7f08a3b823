"""Remainders, choices by conditions, powers in float64, and x log(y): values as NumPy's and SciPy's, exact slopes."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.compositions import along, assert_derivatives, compositions
from scipy import special

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, stage, value_and_grad, vmap
from refgrad.errors import InvalidInput, NotRational, Undecided

NUMBERS = [Fraction(n, 7) for n in (-19, -6, -1, 3, 10)]
DIVISORS = [Fraction(n, 8) for n in (-20, -7, 5, 24)]


def truncated(a, b):
    return a - b * math.trunc(a / b)


TRUTHS = {
    "remainder": (lambda a, b: a % b, lambda a, b: -math.floor(a / b)),
    "mod": (lambda a, b: a % b, lambda a, b: -math.floor(a / b)),
    "fmod": (truncated, lambda a, b: -math.trunc(a / b)),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_remainders_of_rationals_are_those_of_fractions_and_their_slopes_one_and_minus_the_whole_number(name):
    value, slope = TRUTHS[name]
    f = getattr(np, name)
    for a, b in itertools.product(NUMBERS, DIVISORS):
        x = exact.asarray(a), exact.asarray(b)
        assert f(*x) == value(a, b)
        assert value_and_grad(f, (0, 1))(*x) == (value(a, b), (1, slope(a, b)))
        floats = float(a), float(b)
        assert value_and_grad(f, (0, 1))(*floats) == (f(*floats), (1.0, slope(a, b)))
        for modes, found in compositions(f, x, tuple(exact.asarray(n) for n in (3, -2))):
            assert found == (3 - 2 * slope(a, b) if len(modes) == 1 else 0), modes


@pytest.mark.parametrize("asarray", [exact.asarray, exact.balls])
@pytest.mark.parametrize("f", [rnp.remainder, rnp.fmod])
def test_a_jump_has_no_derivative_in_exact_arithmetic_by_either_argument_in_either_mode(f, asarray):
    x = asarray([1, 6])
    y = asarray([4, 3])
    assert exact.bounds(f(x, y) - asarray([1, 0]))[0].shape == (2,)
    for i in (0, 1):
        with pytest.raises(Undecided, match="whole multiple"):
            grad(lambda x, y: rnp.sum(f(x, y)), i)(x, y)
        with pytest.raises(Undecided, match="whole multiple"):
            jvp(lambda z, i=i: f(z, y) if i == 0 else f(x, z), ((x, y)[i],), (asarray([1, 1]),))
    with pytest.raises(Undecided):
        vmap(grad(f))(x, y)


def test_fmod_is_smooth_at_zero_where_it_is_its_first_argument():
    zero, three = exact.asarray(0), exact.asarray(3)
    assert value_and_grad(np.fmod, (0, 1))(zero, three) == (0, (1, 0))
    with pytest.raises(Undecided, match="remainder"):
        grad(np.remainder)(zero, three)


def test_the_operator_and_its_reflection_are_numpys_remainder():
    assert grad(lambda y: -19.0 % y)(3.0) == 7.0
    assert grad(lambda x: (x % 3.0) * x)(7.5) == 1.5 + 7.5
    x = np.array([5.0, -5.0, 7.5])
    f = lambda x: np.sum(x % np.array([3.0, 3.0, -2.0]) * x)
    assert stage(f)(x) == f(x)
    assert (vmap(grad(lambda x: x % 3.0))(x) == 1).all()


@pytest.mark.parametrize("name", ["fmax", "fmin", "fabs"])
def test_choices_on_rationals_have_the_derivatives_of_what_is_chosen_and_none_where_both_are(name):
    x, y = exact.asarray([1, -4, 3]), exact.asarray([2, -5, "1/2"])
    args = (x,) if name == "fabs" else (x, y)
    f = getattr(np, name)
    first = {"fmax": [0, 1, 1], "fmin": [1, 0, 0], "fabs": [1, -1, 1]}[name]
    square = lambda *a: rnp.sum(f(*a) ** 2)
    g = grad(square)(*args)
    assert (g == 2 * np.array(first) * f(*args)).all()
    assert (jvp(grad(square), args, args)[1] == g).all()  # homogeneous of order 2


def test_nan_is_no_candidate_in_either_order_and_passes_no_derivative_on():
    a, b = np.array([1.0, np.nan, np.nan, 2.0]), np.array([np.nan, 3.0, np.nan, 5.0])
    for f, last in ((np.fmax, (0.0, 1.0)), (np.fmin, (1.0, 0.0))):
        value = f(a, b)
        y, (ga, gb) = value_and_grad(lambda a, b, f=f: rnp.sum(f(a, b)[[0, 1, 3]]), (0, 1))(a, b)
        assert y == np.sum(value[[0, 1, 3]])
        assert ga[[0, 1, 3]].tolist() == [1.0, 0.0, last[0]]
        assert gb[[0, 1, 3]].tolist() == [0.0, 1.0, last[1]]


def test_a_choice_by_conditions_is_numpys_and_nothing_flows_into_what_is_not_chosen():
    x = np.array([-1.0, 0.0, 2.0, 3.0])
    f = lambda x: np.select([x < 0, x > 2], [x**2, np.sqrt(x)], 7.0)
    with np.errstate(all="ignore"):
        y, back = jvp(f, (x,), (np.ones(4),))
        assert np.array_equal(y, f(x))
        assert np.array_equal(y, rnp.select([x < 0, x > 2], [x**2, np.sqrt(x)], 7.0))
    assert back.tolist() == [-2.0, 0.0, 0.0, 1 / (2 * np.sqrt(3.0))]
    # the first condition that holds decides
    assert grad(lambda x: np.sum(np.select([x > 0, x > 1], [2 * x, 3 * x])))(x).tolist() == [0.0, 0.0, 2.0, 2.0]
    e = exact.asarray([1, -2])
    assert (grad(lambda x: rnp.sum(rnp.select([x > 0], [x**3], -x)))(e) == [3, -1]).all()
    for arguments in (([x > 0], [x, x]), ([], [])):
        with pytest.raises(InvalidInput, match="as many choices"):
            grad(lambda x, a=arguments: rnp.sum(rnp.select(*a, default=x)))(x)


def test_powers_in_float64_widen_float32_and_whole_exponents_are_exact_on_rationals():
    x = np.array([2.0, 3.0], np.float32)
    y, t = jvp(lambda x: np.float_power(x, 3), (x,), (np.ones(2, np.float32),))
    assert y.dtype == t.dtype == np.float64
    assert y.tolist() == np.float_power(x, 3).tolist() == [8.0, 27.0]
    assert t.tolist() == [12.0, 27.0]
    g = grad(lambda x: np.sum(np.float_power(x, 3)))(x)
    assert g.dtype == np.float32
    assert g.tolist() == [12.0, 27.0]
    assert grad(lambda y: np.float_power(2, y))(3.0) == 8 * math.log(2.0)
    assert (
        grad(lambda x: rnp.sum(rnp.float_power(x, -1)))(exact.asarray([2, -4])) == exact.asarray(["-1/4", "-1/16"])
    ).all()


def test_angles_are_numpys_and_their_slope_is_that_of_a_unit():
    for f, slope in ((np.deg2rad, math.pi / 180), (np.rad2deg, 180 / math.pi)):
        x = np.array([-30.0, 90.0, 1e300])
        y, t = jvp(f, (x,), (np.ones(3),))
        assert (y == f(x)).all()
        assert (t == f(1.0)).all()
        assert abs(f(1.0) - slope) <= 2.0**-52 * slope
        assert grad(grad(f))(2.0) == 0
        with pytest.raises(NotRational):
            f(exact.asarray(1))


X, Y = exact.asarray([["1/3", -2], [2, "1/2"]]), exact.asarray([[3, "1/2"], [1, "5/4"]])


@pytest.mark.parametrize(
    ("ours", "definition"),
    [
        (rnp.xlogy, lambda x, y: x * np.log(y)),
        (rnp.xlog1py, lambda x, y: x * np.log(1 + y)),
        (lambda x, b: rnp.logsumexp(x, axis=1, b=b), lambda x, b: np.log(np.sum(b * np.exp(x), axis=1))),
        (lambda x, b: rnp.logsumexp(x, b=b, keepdims=True), lambda x, b: np.log(np.sum(b * np.exp(x), keepdims=True))),
        (rnp.logaddexp2, lambda x, y: np.log2(np.exp2(x) + np.exp2(y))),
    ],
    ids=["xlogy", "xlog1py", "logsumexp", "logsumexp-all", "logaddexp2"],
)
def test_logarithms_have_the_derivatives_of_their_definitions_to_third_order_in_all_modes(ours, definition):
    with exact.precision(200):
        x, y = exact.balls(X), exact.balls(Y)
        vs = exact.balls([[1, 2], [-1, 3]]), exact.balls([[2, -1], [1, 1]])
        assert_derivatives(ours, (x, y), vs, definition(*along((x, y), vs)))


def test_x_log_y_is_scipys_and_an_entropy_has_its_gradient():
    p = np.array([0.0, 0.25, 0.75])
    f = lambda p: -np.sum(special.xlogy(p, p))
    with np.errstate(divide="ignore"):
        value, g = value_and_grad(f)(p)
    assert value == f(p)
    assert g[0] == np.inf
    assert np.abs(g[1:] + 1 + np.log(p[1:])).max() <= 2.0**-52
    # a fixed distribution with a zero: nothing is 0 * inf, in value and in both derivatives
    cross = lambda q: -np.sum(special.xlogy(p, q))
    q = np.array([0.0, 0.5, 0.5])
    assert grad(cross)(q).tolist() == [0.0, -0.5, -1.5]
    assert hvp(lambda q: -np.sum(special.xlogy(p[1:], q)), q[1:], np.ones(2)).tolist() == [1.0, 3.0]
    with np.errstate(over="ignore"):  # -x / y^2 is beyond the largest number
        assert grad(grad(lambda y: special.xlogy(1e9, y)))(1e-300) == -np.inf
    x = np.array([-0.5, 0.0, 2.0])
    assert (jvp(lambda x: special.xlog1py(p, x), (x,), (x,))[0] == special.xlog1py(p, x)).all()
    assert jvp(lambda x: special.xlog1py(2.0, x), (1e-300,), (1.0,)) == (2e-300, 2.0)
    assert rnp.xlogy(exact.balls(0), exact.balls(0)) == 0
    assert rnp.xlog1py(exact.balls(0), exact.balls(-1)) == 0


def test_weights_of_a_log_sum_of_exponentials_may_be_zero_negative_and_far_below_others():
    x = np.array([[1000.0, 1.0, 2.0], [-1000.0, -1001.0, 3.0]])
    b = np.array([[0.0, 2.0, -0.5], [1.0, 3.0, 0.0]])
    truth = special.logsumexp(x, axis=1, b=b)
    f = lambda x, b: rnp.logsumexp(x, axis=1, b=b)
    assert np.abs(f(x, b) - truth).max() <= 4 * 2.0**-53 * np.abs(truth).max()
    with np.errstate(over="ignore"):
        gx, gb = grad(lambda x, b: rnp.sum(f(x, b)), (0, 1))(x, b)
    e = np.exp(x[0, 1:] - truth[0])
    assert gx[0, 0] == 0
    assert np.abs(gx[0, 1:] - b[0, 1:] * e).max() <= 2.0**-50
    assert np.abs(gb[0, 1:] - e).max() <= 2.0**-50
    assert gb[0, 0] > 1e307  # exp(1000 - 1.3...) itself is beyond the largest number
    assert np.abs(gx[1] - [1 / (1 + 3 / np.e), 3 / np.e / (1 + 3 / np.e), 0]).max() <= 2.0**-50
    assert f(x.astype(np.float32), b.astype(np.float32)).dtype == np.float32
    assert rnp.logsumexp(x[:1], b=np.array([[2.0]]), keepdims=True).shape == (1, 1)
    assert abs(rnp.logsumexp(np.zeros(3), b=2) - math.log(6)) <= 2.0**-51
    assert rnp.logsumexp(np.array([-np.inf, -np.inf]), b=np.ones(2)) == -np.inf
    with np.errstate(invalid="ignore"):
        assert np.isnan(rnp.logsumexp(np.zeros(2), b=np.array([1.0, -2.0])))
