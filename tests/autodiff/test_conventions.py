"""Every row of the table of conventions is true, in reverse and in forward mode."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import special

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, jacfwd, jacrev, jvp, vjp, vmap
from refgrad.autodiff import conventions

ROWS = re.findall(r"^``(.+?)``  +``(.+)``$", conventions.__doc__, re.MULTILINE)
NAMES = {
    "np": np,
    "rnp": rnp,
    "special": special,
    "grad": grad,
    "hessian": hessian,
    "jacfwd": jacfwd,
    "jacrev": jacrev,
    "jvp": jvp,
    "vjp": vjp,
    "inf": np.inf,
    "nan": np.nan,
    "pi": np.pi,
}


def by_forward(f):
    """The gradient, one direction at a time."""

    def gradient(x):
        basis = np.eye(np.size(x), dtype=np.asarray(x).dtype).reshape(-1, *np.shape(x))
        return np.stack([jvp(f, (x,), (e,))[1] for e in basis]).reshape(np.shape(x))

    return gradient


def same(found, value):
    """Equal, NaN to NaN; numbers that are not exact floats to within a few roundings."""
    a, b = np.asarray(found, float), np.asarray(value, float)
    assert a.shape == b.shape
    with np.errstate(all="ignore"):
        close = np.isfinite(b) & (np.abs(a - b) <= 8 * 2.0**-53 * np.abs(b))
        return np.all((a == b) | (np.isnan(a) & np.isnan(b)) | close)


def test_the_tables_have_rows_and_every_line_of_code_is_one_of_them():
    lines = [line for line in conventions.__doc__.splitlines() if line.startswith("``")]
    assert len(ROWS) == len(lines) > 50


@pytest.mark.trap(12)
@pytest.mark.parametrize(("expression", "value"), ROWS, ids=[row[0] for row in ROWS])
def test_the_convention_holds(expression, value):
    expected = eval(value, NAMES)
    if expected is TypeError:
        with pytest.raises(TypeError):
            eval(expression, NAMES)
        return
    with np.errstate(all="ignore"):
        found = eval(expression, NAMES)
        if value.startswith("np."):
            assert found == expected
            return
        assert same(found, expected)
        if expression.startswith("grad(") and not expression.startswith("grad(grad"):
            assert same(eval(expression, {**NAMES, "grad": by_forward}), expected)


@pytest.mark.parametrize("f", [np.abs, rnp.relu, lambda x: np.maximum(x, 0), lambda x: np.minimum(1, x)])
def test_only_the_nan_among_many_numbers_has_a_derivative_that_is_nan(f):
    x = np.array([-2.0, np.nan, 3.0, 0.0])
    g = grad(lambda x: rnp.sum(f(x)))(x)
    assert np.isnan(g).tolist() == [False, True, False, False]
    second = grad(lambda x: rnp.sum(grad(lambda x: rnp.sum(f(x)))(x)))(x)
    assert second[[0, 2, 3]].tolist() == [0, 0, 0]
    assert np.array_equal(vmap(grad(f))(x), g, equal_nan=True)
    t = jvp(lambda x: f(x), (x,), (np.ones(4),))[1]
    assert np.isnan(t).tolist() == [False, True, False, False]


def test_an_infinite_slope_that_meets_a_kink_or_a_side_not_taken_leaves_no_nan():
    # the cotangent of each is infinite, and the derivative of the kink there is 0 by convention
    with np.errstate(divide="ignore"):
        assert grad(lambda x: np.sqrt(np.abs(x)))(0.0) == 0
        assert grad(lambda x: np.sqrt(rnp.relu(x)))(-1.0) == 0
        assert grad(lambda x: np.sqrt(np.maximum(x, 0.0)))(-1.0) == 0


def test_a_power_of_a_positive_base_needs_no_decision_on_the_sign_of_its_exponent():
    near_zero = exact.balls([0])
    near_zero.data[0] = (near_zero.data[0] + 1).union(near_zero.data[0] - 1) / 1000
    low, high = exact.bounds(grad(lambda b: rnp.sum(exact.balls([2]) ** b))(near_zero))
    assert low[0] < np.log(2) < high[0] < low[0] + 1 / 100


def test_the_derivative_of_a_maximum_needs_no_decision_on_a_cotangent_that_may_be_zero():
    wide = exact.balls([1])
    wide.data[0] = wide.data[0].union(-wide.data[0])
    low, high = exact.bounds(grad(lambda x: rnp.max(x) * wide[0])(exact.balls([1, 3])))
    assert (low[0], high[0]) == (0, 0)
    assert low[1] <= -1 < 1 <= high[1]
