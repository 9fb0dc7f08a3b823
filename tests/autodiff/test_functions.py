"""NumPy's further functions on traced values, sin(x) / x at 0, roundings and masks."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import special

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, vmap
from refgrad.errors import InvalidInput, Kink, NoDerivative, NotRational, ShapeError
from refgrad.numpy.dispatch import apply_ufunc

flint = pytest.importorskip("flint", reason="certified enclosures need python-flint")
arb = flint.arb

INSIDE = np.array([-0.75, -0.125, 0.0, 0.5])
ABOVE = np.array([0.25, 1.0, 3.5])
OF_ONE = {
    **dict.fromkeys(("exp2", "sinh", "cosh", "arcsinh", "sinc", "tan", "arcsin", "arccos", "arctanh"), INSIDE),
    **dict.fromkeys(("asin", "acos", "asinh", "atanh", "floor", "ceil", "rint", "round"), INSIDE),
    **dict.fromkeys(("log2", "log10", "cbrt"), ABOVE),
    **dict.fromkeys(("deg2rad", "rad2deg", "degrees", "radians", "fabs"), ABOVE),
    **dict.fromkeys(("arccosh", "acosh"), 1 + ABOVE),
}
OF_TWO = ("arctan2", "atan2", "hypot", "logaddexp", "logaddexp2", "remainder", "mod", "fmod", "fmax", "fmin")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*OF_ONE, *OF_TWO])
def test_numpys_own_function_on_a_traced_value_is_ours_and_keeps_its_value_and_dtype(name, dtype):
    theirs = getattr(np, name)
    xs = [OF_ONE[name]] if name in OF_ONE else [INSIDE, np.float64(0.5)]
    xs = [x.astype(dtype) for x in xs]
    y, t = jvp(theirs, tuple(xs), tuple(xs))
    expected = theirs(*xs)
    assert y.dtype == t.dtype == np.dtype(dtype)
    if name == "sinc":  # ours is exact at 0 and rounds pi x the same way elsewhere
        assert np.abs(y - expected).max() <= np.finfo(dtype).eps
    else:
        assert np.array_equal(y, expected)
        assert np.array_equal(getattr(rnp, name)(*xs), expected)
    gradient = grad(lambda *x: rnp.sum(getattr(rnp, name)(*x)), tuple(range(len(xs))))
    assert [g.dtype for g in gradient(*xs)] == [np.dtype(dtype)] * len(xs)


@pytest.mark.parametrize("name", sorted(set(OF_ONE) - {"fabs"}) + ["erf", "lgamma", "digamma"])
def test_what_leaves_the_rationals_says_so_and_has_an_enclosure(name):
    f = getattr(rnp, name)
    x = exact.asarray(["3/2", "5/4"] if "acosh" in name or "arccosh" in name else ["1/2", "1/4"])
    if name in ("floor", "ceil", "rint", "round"):
        return
    with pytest.raises(NotRational):
        f(x)
    with exact.precision(100):
        low, high = exact.bounds(f(exact.balls(x)))
    y = f(x.astype(float))
    # SciPy's and NumPy's functions promise a few units in the last place; the enclosure is far narrower
    assert np.all(np.abs(y - low.astype(float)) <= 16 * 2.0**-53 * np.abs(y))
    assert np.all((high - low).astype(float) <= 2.0**-80 * np.abs(y))


def test_scipys_own_functions_on_a_traced_value_are_ours():
    x = np.array([0.25, 1.5, 3.0])
    for theirs, ours in (
        (special.erf, rnp.erf),
        (special.gammaln, rnp.lgamma),
        (special.digamma, rnp.digamma),
        (special.psi, rnp.digamma),
        (special.expit, rnp.logistic),
    ):
        y, t = jvp(theirs, (x,), (x,))
        assert np.array_equal(y, ours(x))
        assert np.array_equal(t, jvp(ours, (x,), (x,))[1])
    for other in (special.gamma, np.frompyfunc(lambda x: x, 1, 1)):
        with pytest.raises(NoDerivative, match="no derivative rule"):
            grad(lambda x, f=other: rnp.sum(f(x)))(x)
    namesake = type("Compiled", (), {"__name__": "erf"})()  # a ufunc of another library's, so named
    with pytest.raises(NoDerivative, match="erf has no derivative rule"):
        grad(lambda x: rnp.sum(apply_ufunc(namesake, "__call__", (x,), {})))(x)


def nested(f, order):
    for _ in range(order):
        f = grad(f)
    return f


def test_all_derivatives_of_sinc_at_zero_are_those_of_its_even_series():
    # sin(pi x) / (pi x) = sum (-1)^k (pi x)^(2 k) / (2 k + 1)!
    for order in range(7):
        found = nested(rnp.sinc, order)(0.0)
        k = order // 2
        truth = 0.0 if order % 2 else (-1) ** k * math.pi**order / (order + 1)
        assert abs(found - truth) <= 8 * 2.0**-53 * abs(truth), order


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("x", [1e-300, 1e-9, 1e-4, 0.3, 0.6, 0.9, 1.3, 1.7, 2.5, 40.25])
def test_derivatives_of_sinc_are_accurate_near_zero_and_across_the_change_of_method(x, order):
    g = nested(rnp.sinc, order)
    error = exact.error(g(np.float64(x)), exact.evaluate(g, np.float64(x)))
    # relative to a bound of this derivative, pi^order, times 1 + |pi x| for the rounding of pi x
    assert error <= 64 * 2.0**-53 * math.pi**order * (1 + math.pi * x)


def test_gamma_and_its_relatives_nest_beyond_the_third_order():
    # polygamma(n, 1) = (-1)^(n + 1) n! zeta(n + 1), [dlmf]_, 5.15.2
    for n in range(1, 6):
        truth = (-1) ** (n + 1) * math.factorial(n) * arb(n + 1).zeta()
        found = nested(rnp.lgamma, n + 1)(exact.balls([1])[0])
        assert found.data.item().overlaps(truth)
        assert rnp.polygamma(n, exact.balls([1])).data[0].overlaps(truth)
        assert abs(nested(rnp.lgamma, n + 1)(1.0) - float(truth)) <= 16 * 2.0**-53 * abs(float(truth))
    for order in (-1, 1.0, True):
        with pytest.raises(InvalidInput, match="an int of at least 0"):
            rnp.polygamma(order, 1.0)


def test_second_derivatives_keep_float32():
    x = np.array([0.25, 0.5], np.float32)
    for name in (*OF_ONE, "erf", "lgamma", "digamma", "rsqrt"):
        f = getattr(rnp, name)
        y = 1 + x if name in ("arccosh", "acosh") else x
        assert hvp(lambda x, f=f: rnp.sum(f(x) * x), y, x).dtype == np.float32


HALVES = ["-5/2", "-3/2", "-7/5", "-1/2", "0", "1/3", "1/2", "1", "3/2", "5/2"]


@pytest.mark.parametrize("kind", [exact.asarray, exact.balls])
def test_roundings_are_those_of_the_numbers_and_have_no_derivative(kind):
    fractions = [Fraction(h) for h in HALVES]
    x = kind(exact.asarray(HALVES))
    for name, rule in (("floor", math.floor), ("ceil", math.ceil), ("rint", round), ("round", round)):
        expected = exact.asarray([rule(q) for q in fractions])
        found = getattr(rnp, name)(x)
        plain = getattr(np, name)(x.astype(float))
        if kind is exact.asarray:
            assert (found == expected).all()
            f = getattr(np, name)
            smooth = [rule(q - Fraction(1, 99)) == rule(q + Fraction(1, 99)) for q in fractions]
            gradient = grad(lambda x, f=f: rnp.sum(f(x) * x))
            assert (gradient(x[smooth]) == expected[smooth]).all()
            for i in np.flatnonzero(np.logical_not(smooth)):
                with pytest.raises(Kink, match=r"floor|ceil|rint"):
                    gradient(x[i : i + 1])
            assert (plain == expected.astype(float)).all()
        else:
            assert all(ball == int(q) for q, ball in zip(expected.astype(int), found.data, strict=True))


def test_the_rounding_of_a_wide_ball_holds_both_neighbours():
    wide = exact.balls([1])
    wide.data[0] = arb(0.5, 0.25)
    for name in ("floor", "ceil", "rint"):
        low, high = exact.bounds(getattr(rnp, name)(wide))
        inside = {getattr(np, name)(v) for v in (0.25, 0.75)}
        assert all(low[0] <= v <= high[0] for v in map(int, inside))


def test_masks_are_combined_inside_a_batch_and_under_a_derivative():
    X = np.array([[1.0, -2.0, 3.0], [-4.0, 5.0, 0.0]])
    constant = np.array([True, True, False])

    def f(x):
        inside = (x > -3) & (x < 4) & constant
        return rnp.where(inside | (x == 5) ^ ~constant, x * x, 0)

    def by_hand(x):
        return np.where(((x > -3) & (x < 4) & constant) | (x == 5) ^ ~constant, x * x, 0)

    assert np.array_equal(vmap(f)(X), by_hand(X))
    assert np.array_equal(grad(lambda X: rnp.sum(f(X)))(X), np.where(by_hand(X) != 0, 2 * X, 0))
    assert np.array_equal(vmap(grad(lambda x: rnp.sum(f(x))))(X), np.where(by_hand(X) != 0, 2 * X, 0))
    left = lambda x: constant & (x > 0) | constant ^ (x > 2)
    assert np.array_equal(vmap(left)(X), left(X))
    assert np.array_equal(vmap(lambda x: True & (x > 0) | False ^ (x > 2))(X), X > 0)
    assert np.array_equal(vmap(lambda x: ~(x > 0))(X), ~(X > 0))
    e = exact.asarray(X.astype(int).astype(object))
    assert np.array_equal(vmap(lambda x: ~(x > 0) & (x < 0))(e), X < 0)


@pytest.mark.parametrize(
    "name", ["logical_and", "logical_or", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor"]
)
def test_logical_functions_are_numpys_on_masks_and_numbers(name):
    X, Y = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[0, 3], [0, 6]])
    theirs, ours = getattr(np, name), getattr(rnp, name)
    a, b = (X > 0, Y > 0) if name.startswith("logical") else (Y, Y + 1)
    assert np.array_equal(ours(a, b), theirs(a, b))
    assert np.array_equal(vmap(theirs)(a, b), theirs(a, b))
    if name.startswith("logical"):
        assert np.array_equal(vmap(theirs, (0, None))(X, True), theirs(X, True))
        assert np.array_equal(ours(X, Y), theirs(X, Y))


def test_negations_are_numpys():
    X = np.array([[1.0, 0.0], [0.0, 2.0]])
    for f in (np.logical_not, rnp.logical_not):
        assert np.array_equal(vmap(f)(X), X == 0)
        assert np.array_equal(vmap(f)(X > 0), X == 0)
    for f in (np.invert, rnp.bitwise_invert):
        assert np.array_equal(vmap(f)(X.astype(int)), ~X.astype(int))
    assert not rnp.logical_not(True)


def test_a_power_has_its_derivatives_at_every_exponent():
    b = np.array([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0])
    a = np.full_like(b, 4.0)
    slopes = b * 2.0 ** (2 * b - 2)
    close = lambda found, truth: (np.abs(found - truth) <= 8 * 2.0**-52 * np.abs(truth)).all()  # two powers, products
    assert close(grad(lambda a: rnp.sum(np.power(a, b)))(a), slopes)
    assert close(jvp(lambda a: np.power(a, b), (a,), (a,))[1], 4 * slopes)
    assert close(hvp(lambda a: rnp.sum(np.power(a, b)), a, np.ones_like(a)), (b - 1) * slopes / 4)


def test_a_matrix_product_takes_nested_lists_beside_traced_values_and_lists_of_traced_values():
    x = np.array([2.0, 5.0])
    assert np.array_equal(grad(lambda x: rnp.sum(rnp.matmul([[1.0, 3.0], [4.0, 7.0]], x)))(x), [5.0, 10.0])
    assert np.array_equal(grad(lambda x: rnp.sum(rnp.matmul([[x[0], 1.0]], [[x[1]], [2.0]])))(x), [5.0, 2.0])
    with pytest.raises(ShapeError, match="at least one axis"):
        grad(lambda x: rnp.matmul(3.0, x))(x)
