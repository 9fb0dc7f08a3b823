"""The functions of the contracts gradient and hvp: every derivative derived by hand is that of a truncated series."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.jets import JetArray, coefficient, line

from refgrad import exact
from refgrad.contracts.derivatives.function_variants import GRADIENT_VARIANTS, HVP_VARIANTS
from refgrad.contracts.derivatives.functions import Form, LeastSquares, LogSumExp, TwoLayers, gradient, hvp
from refgrad.contracts.derivatives.problems import function, smooth_functions
from refgrad.contracts.tools import EXACT_TABLE

RATIONAL = {"linear", "square", "rational", "form"}
KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")
a = exact.asarray
GRADIENTS = {v.name: v.answer for v in GRADIENT_VARIANTS}
PRODUCTS = {v.name: v.answer for v in HVP_VARIANTS}


class Framework:
    """Exact arrays of one kind, or series that do not move."""

    xp = EXACT_TABLE

    def __init__(self, make):
        self.array = make


def still(make):
    return lambda values: line(make(a(values)), 0 * make(a(values)))


def equal(name, got, expected):
    pairs = list(zip(np.ravel(got.data), np.ravel(expected), strict=True))
    if name in RATIONAL:
        return all(x == y for x, y in pairs)
    return all((x - y).contains(0) and float((x - y).rad()) < 2.0**-100 for x, y in pairs)


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_and_product_are_the_coefficients_of_the_series(kind):
    with exact.precision(256):
        for inputs in draws(smooth_functions(kind), 40):
            name = inputs.get("link", inputs["function"])
            make = a if name in RATIONAL else exact.balls
            f, moving = function(inputs, Framework(lambda v, m=make: m(a(v)))), function(inputs, Framework(still(make)))
            x, v = make(a(inputs["x"])), make(a(inputs["v"]))
            assert equal(name, (f.grad(x) @ v)[None], [coefficient(moving(line(x, v)), 1)])
            assert equal(name, (f.hvp(x, v) @ v)[None], [2 * coefficient(moving(line(x, v)), 2)])
            assert equal(name, f.hvp(x, v), coefficient(moving.grad(line(x, v)), 1))
            for answer in (gradient(f, x), hvp(f, x, v)):
                gaps = exact.bounds(answer.magnitude * Fraction(1 + 2**40, 2**40) - abs(answer.value))[0]
                assert all(low >= -Fraction(1, 2**200) for low in gaps)
            assert isinstance(moving(line(x, v)), JetArray)


def test_the_sizes_of_terms_are_reached_where_nothing_cancels():
    ones = a([[1, 1], [1, 1]])
    f = LeastSquares(EXACT_TABLE, "square", ones, ones, a([-1, -1]))
    x, v = a([1, 2]), a([1, 1])
    forms = f, Form(EXACT_TABLE, ones, v, v), TwoLayers(EXACT_TABLE, "square", a([[1, 0]]), a([-1]), a([0, 1]))
    for f in forms:
        for answer in (gradient(f, x), hvp(f, x, v)):
            assert np.all(answer.value > 0)
            assert np.all(answer.magnitude == answer.value)


def test_the_sizes_of_terms_count_what_cancels():
    """x.Q x / 2 with Q = ((2, -2), (0, 0)) has the gradient Q x + Q^T x over 2, (1, -1) at (1, 1): of terms 3 and 1."""
    f = Form(EXACT_TABLE, a([[2, -2], [0, 0]]), a([0, 0]), a([0, 0]))
    assert np.all(f.grad(a([1, 1])) == a([1, -1]))
    assert np.all(gradient(f, a([1, 1])).magnitude == a([3, 1]))
    f = LogSumExp(EXACT_TABLE, a([[1], [-1]]), a([0, 0]))
    with exact.precision(128):
        assert gradient(f, exact.balls(a([0]))).magnitude.data.item() == 1


def quadratic():
    """``|A x - y|^2 / 2`` with residuals (2, 2), gradient (4, 2) and Hessian ((2, 1), (1, 5)) at x = (1, 1)."""
    A, identity, y = a([[1, 2], [1, -1]]), a([[1, 0], [0, 1]]), a([1, -2])
    return LeastSquares(EXACT_TABLE, "linear", A, identity, y), a([1, 1])


def test_the_variants_of_a_quadratic_are_those_of_its_matrix():
    f, x = quadratic()
    H, g = a([[2, 1], [1, 5]]), a([4, 2])
    assert np.all(f.grad(x) == g)
    assert np.all(f.hvp(x, a([1, 0])) == H[0])
    v = a([3, -1])
    expected = {
        "halved": H @ v / 2,
        "mean-of-residuals": H @ v / 2,
        "gauss-newton": H @ v,
        "diagonal": a([6, -5]),
        "row-sums": a([9, -6]),
        "hutchinson": v * (H @ v),
        "gradient-times-v": g * v,
        "outer-product": g * (g @ v),
    }
    for name, answer in expected.items():
        assert np.all(PRODUCTS[name](f, x, v).value == answer), name
    assert np.all(GRADIENTS["sign"](f, x).value == a([1, 1]))
    for name, answer in {"doubled": 2 * g, "halved": g / 2, "mean-of-residuals": g / 2, "straight-through": g}.items():
        assert np.all(GRADIENTS[name](f, x).value == answer), name


def test_a_central_difference_is_exact_on_a_quadratic():
    f, x = quadratic()
    with exact.precision(256):
        f = LeastSquares(EXACT_TABLE, "linear", *(exact.balls(m) for m in (f.A, f.C, f.y)))
        x, v = exact.balls(x), exact.balls(a([3, -1]))
        got = PRODUCTS["central-difference"](f, x, v)
        assert equal("", got.value, (f.hvp(x, v)).data)
        assert all(low > 50 for low in exact.bounds(got.magnitude)[0])  # two gradients over twice 0.01 / |v|


def test_the_formulas_for_a_form_use_its_matrix_as_it_is():
    f = Form(EXACT_TABLE, a([[1, 2], [0, 1]]), a([1, 0]), a([1, 1]))
    x, v = a([1, 1]), a([1, 0])
    assert np.all(GRADIENTS["unsymmetrised"](f, x).value == a([1 + 3 + 2, 1 + 2]))
    assert np.all(PRODUCTS["unsymmetrised"](f, x, v).value == a([1 + 2, 0 + 2]))


def test_clipping_leaves_short_gradients_and_small_components_alone():
    f = Form(EXACT_TABLE, a([[0, 0], [0, 0]]), a(["1/2", "-1/2"]), a([0, 0]))
    long = Form(EXACT_TABLE, a([[0, 0], [0, 0]]), a([3, "-1/2"]), a([0, 0]))
    x = a([0, 0])
    assert np.all(GRADIENTS["clipped"](f, x).value == f.b)
    assert np.all(GRADIENTS["clipped-elements"](long, x).value == a([1, "-1/2"]))
    with exact.precision(128):
        balls = Form(EXACT_TABLE, *(exact.balls(m) for m in (long.Q, long.b, long.a)))
        g = GRADIENTS["clipped"](balls, exact.balls(x)).value
        n = GRADIENTS["normalised"](balls, exact.balls(x)).value
        assert equal("", (g @ g)[None], [exact.balls(a(1)).data.item()])
        assert equal("", g, n.data)


def test_a_central_difference_of_a_quartic_is_off_by_the_square_of_the_step():
    """``x^4 / 2`` has the gradient 2 x^3, whose central difference at 1 is 6 + 2 eps^2 (eps = 0.01 here)."""
    one, zero = a([[1]]), a([0])
    with exact.precision(256):
        f = LeastSquares(EXACT_TABLE, "square", *(exact.balls(m) for m in (one, one, zero)))
        got = PRODUCTS["central-difference"](f, exact.balls(a([1])), exact.balls(a([1])))
        assert equal("", got.value, exact.balls(a([6 + Fraction(2, 10**4)])).data)
