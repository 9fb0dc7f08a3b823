"""Derivatives that widely used engines have computed wrongly: every mode here gives the true one.

The inputs are those of public reports; the truth is derived by hand in each test.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.compositions import along, assert_derivatives, compositions, directional
from helpers.jets import JETS, coefficient, line

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp, jacfwd, jacrev, jvp
from refgrad.numpy import nn

ONE = exact.asarray(1)


def at(t):
    return exact.asarray(t)


def test_det_along_a_line_has_second_derivative_4():
    # pytorch#196696: 8.827 by jvp of jvp. det = (t + 2)(2 t + 3) - 1
    def f(t):
        return rnp.linalg.det(rnp.stack([rnp.stack([t + 2, t * 0 + 1]), rnp.stack([t * 0 + 1, 2 * t + 3])]))

    for modes, found in directional(f, at("7/10"), ONE, 2).items():
        assert found == 4, modes
    for modes, found in directional(f, at("7/10"), ONE, 3).items():
        assert found == 0, modes


HESSIANS = {
    "hessian": hessian,
    "jacfwd(jacfwd)": lambda f: jacfwd(jacfwd(f)),
    "jacrev(jacfwd)": lambda f: jacrev(jacfwd(f)),
    "jacfwd(jacrev)": lambda f: jacfwd(jacrev(f)),
    "jacrev(jacrev)": lambda f: jacrev(jacrev(f)),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_the_hessian_of_a_2x2_determinant_is_the_constant_product_of_permutation_symbols(name):
    # pytorch#192540: wrong where the forward rule is differentiated; #149694, #192521: NaN at equal singular values
    symbol = np.array([[0, 1], [-1, 0]])
    truth = np.einsum("ik,jl->ijkl", symbol, symbol)
    for a in (
        [["13/10", "2/5"], ["-7/10", "9/10"]],
        [[1, 0], [0, 1]],
        [[1, 0], [1, 1]],
        [[1, 2], [2, 4]],
        [[0, 0]] * 2,
    ):
        assert (HESSIANS[name](rnp.linalg.det)(exact.asarray(a)) == truth).all()
        floats = HESSIANS[name](rnp.linalg.det)(exact.asarray(a).astype(float))
        # singular values and vectors to a few roundings, and entries at most 1
        assert np.abs(floats - truth).max() <= 64 * 2.0**-52


@pytest.mark.parametrize("gap", [0.0, 1e-12, 1e-6, 1e-3])
def test_the_hessian_of_det_is_right_at_equal_and_at_close_singular_values(gap):
    # pytorch#192521: NaN at the identity and finite wrong numbers close to it
    a = np.diag([1.0, 1.0 + gap, 1.0 - gap])
    d = np.diag(a)
    e = np.eye(3)
    v = e.copy()
    v[0, 1] = 1.0
    # of a diagonal matrix: H[i,i,k,k] = -H[i,k,k,i] = the third entry, for i != k
    truth = np.zeros((3, 3, 3, 3))
    for i, k in ((0, 1), (0, 2), (1, 2)):
        truth[i, i, k, k] = truth[k, k, i, i] = d[3 - i - k]
        truth[i, k, k, i] = truth[k, i, i, k] = -d[3 - i - k]
    for name, second in HESSIANS.items():
        assert np.abs(second(rnp.linalg.det)(a) - truth).max() <= 64 * 2.0**-52, name
    assert np.abs(hvp(rnp.linalg.det, a, v) - np.einsum("ijkl,kl->ij", truth, v)).max() <= 256 * 2.0**-52


def test_slogdet_along_a_line_has_its_second_derivative():
    # pytorch#196697: 0 instead of -9 / (3 t + 5)^2. det [[t + 2, 1], [1, 3]] = 3 t + 5
    def f(t):
        return rnp.linalg.slogdet(
            rnp.stack([rnp.stack([t + 2, t * 0 + 1]), rnp.stack([t * 0 + 1, t * 0 + 3])])
        ).logabsdet

    truth = exact.balls(Fraction(-9) / Fraction("7.1") ** 2).data.item()
    for modes, found in directional(f, exact.balls("7/10"), exact.balls(1), 2).items():
        assert found.data.item().overlaps(truth), modes
        assert found.data.item().rad() < 1e-12


def test_solve_from_the_right_along_a_line_has_its_second_derivative():
    # pytorch#196695: half of it. X A = B with A = [[t + 2, 1], [0, t + 3]], whose rows are solved by substitution
    w = [[1, 2], [-1, 3]]

    def f(t, solve):
        zero = t * 0
        a = [[t + 2, zero + 1], [zero, t + 3]]
        b = [[t, 2 * t + 1], [t + 1, 3 - t]]
        x = solve(a, b)
        return sum(w[i][j] * x[i][j] for i in range(2) for j in range(2))

    def ours(a, b):
        matrix = lambda rows: rnp.stack([rnp.stack(row) for row in rows])
        return rnp.linalg.solve(matrix(a).mT, matrix(b).mT).mT

    def by_hand(a, b):
        first = [row[0] / a[0][0] for row in b]
        return [[x, (row[1] - x * a[0][1]) / a[1][1]] for x, row in zip(first, b, strict=True)]

    series = f(line(at("-1/2"), ONE), by_hand)
    assert isinstance(series, JETS.array)
    for order, factorial in ((1, 1), (2, 2), (3, 6)):
        truth = factorial * coefficient(series, order)
        for modes, found in directional(lambda t: f(t, ours), at("-1/2"), ONE, order).items():
            assert found == truth, modes
    assert exact.asarray(2 * coefficient(series, 2)) == Fraction(3424, 1125)


def test_solve_has_both_terms_of_its_second_derivative():
    # pytorch#192540. x = A^-1 b: d2x = A^-1 E A^-1 F x + A^-1 F A^-1 E x
    a = exact.asarray([["13/10", "2/5"], ["-7/10", "9/10"]])
    b = exact.asarray([1, -2])
    e = exact.asarray([[1, -1], [2, 3]])
    inverse = rnp.linalg.inv(a)
    truth = 2 * rnp.sum(inverse @ e @ inverse @ e @ inverse @ b)
    for modes, found in directional(lambda a: rnp.sum(rnp.linalg.solve(a, b)), a, e, 2).items():
        assert found == truth, modes


def inverses(factor):
    """``(L L^T)^-1``, each way that there is here."""
    one = exact.asarray([[1, 0], [0, 1]])
    whole = factor @ factor.mT
    again = rnp.linalg.cholesky(whole)
    triangular = rnp.linalg.solve_triangular
    yield triangular(factor, triangular(factor, one, lower=True), trans=1, lower=True)
    yield triangular(again, triangular(again, one, lower=True), trans="T", lower=True)
    yield rnp.linalg.inv(whole)
    yield rnp.linalg.solve(whole, one)
    yield rnp.linalg.matrix_power(whole, -1)


@pytest.mark.parametrize("way", range(5))
def test_the_inverse_from_a_cholesky_factor_has_its_first_derivative(way):
    # pytorch#196682: -0.4988. L = [[a, 0], [1, 2]]: the sum of (L L^T)^-1 is 5/(4 a^2) - 1/(2 a) + 1/4
    def f(a):
        factor = rnp.stack([rnp.stack([a, a * 0]), rnp.stack([a * 0 + 1, a * 0 + 2])])
        return rnp.sum(list(inverses(factor))[way])

    a = Fraction("1.7")
    assert f(at(a)) == Fraction(5, 4) / a**2 - 1 / (2 * a) + Fraction(1, 4)
    truths = {
        1: -Fraction(5, 2) / a**3 + 1 / (2 * a**2),
        2: Fraction(15, 2) / a**4 - 1 / a**3,
        3: -30 / a**5 + 3 / a**4,
    }
    assert abs(float(truths[1]) + 0.3358436800325667) < 1e-15
    for order, truth in truths.items():
        for modes, found in directional(f, at(a), ONE, order).items():
            assert found == truth, modes


def test_a_solution_with_a_stack_of_cholesky_factors_has_its_first_derivative():
    # pytorch#196694: -410.2 instead of -11/3, at a factor with a negative entry below the diagonal
    b = exact.asarray([[1, 2], [-1, 3]])
    w = exact.asarray([[[1, 2], [3, 4]], [[2, -1], [4, 3]]])

    def f(t):
        zero = t * 0
        factors = rnp.reshape(rnp.stack([zero + 2, zero, t, zero + 3, zero + 3, zero, 2 * t + 1, zero + 2]), (2, 2, 2))
        half = rnp.linalg.solve_triangular(factors, b, lower=True)
        return rnp.sum(w * rnp.linalg.solve_triangular(factors, half, trans=1, lower=True))

    for modes, found in directional(f, at(-7), ONE, 1).items():
        assert found == Fraction(-11, 3), modes


def test_the_gradient_of_a_singular_determinant_is_the_adjugate():
    # an engine that divides by the determinant raises here
    a = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    adjugate = np.array([[-3, 6, -3], [6, -12, 6], [-3, 6, -3]])
    assert (grad(rnp.linalg.det)(exact.asarray(a)) == adjugate.T).all()
    floats = grad(np.linalg.det)(np.array(a, float))
    # the gradient is of degree 2 in a, whose norm is 17
    assert np.abs(floats - adjugate.T).max() <= 8 * 17**2 * 2.0**-52


def test_eigenvalues_have_their_derivatives_where_they_are_equal():
    # frameworks that divide by the gaps give NaN or finite wrong numbers. tr A^3 has gradient 3 A^2
    a = np.diag([2.0, 2.0, 5.0])
    f = lambda a: rnp.sum(rnp.linalg.eigvalsh(a) ** 3)
    assert (grad(f)(a) == 3 * a @ a).all()
    for found in directional(f, a, np.ones((3, 3)), 1).values():
        assert found == (3 * a @ a).sum()


def test_the_norm_at_zero_has_gradient_0_and_no_second_derivative():
    # functorch#1097: a wrong Hessian of exp(-|x|^2); |x|^2 has one, but the norm has none
    x = np.zeros(3)
    assert grad(rnp.linalg.norm)(x).tolist() == [0.0, 0.0, 0.0]
    for modes, found in directional(rnp.linalg.norm, x, np.array([1.0, 2.0, 3.0]), 2).items():
        assert np.isnan(found), modes


def vector(entries):
    return rnp.stack([e * rnp.ones_like(entries[0]) for e in entries])


def test_layer_norm_has_the_second_derivative_of_an_odd_function_of_one_number():
    # pytorch#196700: -0.3849. Of [t, 0], mean t/2 and variance t^2/4, with epsilon 1/4, the sum with the gain [1, 2] is
    # (t/2 - 2 t/2) / sqrt((t^2 + 1)/4) = -t / sqrt(1 + t^2), whose second derivative is 3 t / (1 + t^2)^(5/2)
    def f(t):
        gain = exact.asarray([1, 2])
        return rnp.sum(nn.layer_norm(rnp.reshape(vector([t, 0 * t]), (1, 2)), gain, epsilon=Fraction(1, 4)))

    t = Fraction(7, 10)
    with exact.precision(200):
        root = exact.balls(1 + t**2).table.sqrt(exact.balls(1 + t**2)).data.item()
        for modes, found in compositions(f, [exact.balls(t)], [exact.balls(1)], orders=(2,)):
            truth = 3 * exact.balls(t).data.item() / root**5
            assert found.data.item().overlaps(truth), modes
            assert found.data.item().rad() < 1e-50
    assert abs(float(truth.mid()) - 0.7749142079590942) < 1e-15


def test_batch_norm_has_its_second_derivative_where_the_statistics_depend_on_the_input():
    # pytorch#196699: -2.132. The input is quadratic in t; the truth is the Taylor series of the definition
    shape, weights = (2, 2, 2), np.arange(1, 9).reshape(2, 2, 2)
    gain, bias = [3, -1], [1, 4]  # halves and quarters

    def x(t):
        return [(i + 1) * t + (i % 3 - 1) * t * t + i for i in range(8)]

    def f(t):
        images, halves, quarters = rnp.reshape(vector(x(t)), shape), exact.asarray(gain) / 2, exact.asarray(bias) / 4
        y, _, _ = nn.batch_norm(images, halves, quarters, epsilon=Fraction(1, 4))
        return rnp.sum(exact.asarray(weights) * y)

    def by_hand(t):
        images = np.array(x(t), object).reshape(shape)
        total = 0
        for channel in range(2):
            entries = images[:, channel].ravel()
            mean = sum(entries) / 4
            deviation = ((sum((e - mean) ** 2 for e in entries) + 1) / 4).sqrt()
            for e, w in zip(entries, weights[:, channel].ravel().tolist(), strict=True):
                total = total + (2 * (e - mean) / deviation * gain[channel] + bias[channel]) * w / 4
        return total

    with exact.precision(200):
        t, v = exact.balls(-6), exact.balls(1)
        series = by_hand(along([t], [v])[0].item())
        assert_derivatives(f, [t], [v], np.array(series, object))
        assert abs(float((2 * series.c[2]).mid()) + 0.20703015646993195) < 1e-15


def test_running_products_with_a_zero_among_the_factors_have_their_second_derivative():
    # pytorch#196701: 68 by jvp of jvp, NaN by two reverse passes
    def f(t):
        rows = rnp.reshape(vector([t, t + 1, 2 - t, t - 1, 2 * t + 1, t + 3]), (2, 3))
        return rnp.sum(np.cumprod(rows, axis=-1) * exact.asarray([[1, 2, 3], [4, 5, 6]]))

    # t + 2 t (t + 1) + 3 t (t + 1)(2 - t) + 4 (t - 1) + 5 (t - 1)(2 t + 1) + 6 (t - 1)(2 t + 1)(t + 3)
    #   = 9 t^3 + 45 t^2 - 16 t - 27, whose derivatives at 1 are 101, 144 and 54
    assert f(ONE) == 9 + 45 - 16 - 27
    for modes, found in compositions(f, [ONE], [ONE]):
        assert found == {1: 101, 2: 144, 3: 54}[len(modes)], modes


def test_running_log_sums_keep_the_first_ones_where_later_elements_are_far_larger():
    # pytorch#196705: -6. At t = -400 each running sum is its largest term: row t, 1 - t, 2 t + 3 gives t, 1 - t, 1 - t
    # with weights 1, 2, -1 and row -t, t + 2, 3 t - 1 gives -t three times with weights 3, -2, 4:
    # 1 - 2 + 1 - 5 = -5, but for terms of exp(-800)
    weights = np.array([[1.0, 2.0, -1.0], [3.0, -2.0, 4.0]])

    def f(t):
        rows = rnp.reshape(rnp.stack([t, 1 - t, 2 * t + 3, -t, t + 2, 3 * t - 1]), (2, 3))
        return rnp.sum(rnp.logcumsumexp(rows, axis=-1) * weights)

    t, one = np.array(-400.0), np.array(1.0)
    assert f(t) == 2001.0
    for modes, found in compositions(f, [t], [one]):
        assert found == {1: -5.0, 2: 0.0, 3: 0.0}[len(modes)], modes


def test_running_log_sums_have_the_derivatives_of_their_definition():
    x, v = exact.balls([[1, -2, "1/2", 3, 0], [0, 1, 1, -1, 2]]), exact.balls([[1, 2, -1, 3, 1], [0, 1, -2, 1, 1]])
    with exact.precision(200):
        series = np.log(np.cumsum(np.exp(along([x], [v])[0]), axis=1))
        assert_derivatives(lambda x: rnp.logcumsumexp(x, axis=1), [x], [v], series)
    floats = np.random.default_rng(0).normal(size=(3, 7))
    for axis in (0, -1):
        found = jvp(lambda x, a=axis: np.logaddexp.accumulate(x, axis=a), (floats,), (floats,))[0]
        assert np.abs(found - np.logaddexp.accumulate(floats, axis=axis)).max() <= 8 * 2.0**-52
    assert rnp.logcumsumexp(floats).shape == (21,)
    assert rnp.logcumsumexp(np.zeros((2, 0)), axis=1).shape == (2, 0)


def test_scaling_by_a_negative_power_of_two_has_its_derivative():
    # pytorch#196680: 2, with 2**-2 taken in integers. 2 t + t^2/4 has derivative 2 + t/2 = 2.35 at 0.7
    exponents = np.array([1, -2], np.int32)
    t = exact.asarray("7/10")
    f = lambda t: rnp.sum(rnp.ldexp(rnp.stack([t, t * t]), exponents))
    for modes, found in compositions(f, [t], [ONE]):
        assert found == {1: Fraction(47, 20), 2: Fraction(1, 2), 3: 0}[len(modes)], modes
    assert grad(lambda t: np.sum(np.ldexp(np.stack([t, t * t]), exponents)))(0.5) == 2.25


def test_scaling_by_powers_of_two_is_numpys_over_the_whole_range():
    for dtype in (np.float32, np.float64):
        smallest, largest = np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max
        x = np.array([1, -3, 0, smallest, largest, np.inf], dtype)
        for n in (0, 5, -7, 200, -200, 2000, -2000, 100_000, -100_000, [3, -1, 4, 1, -5, 9]):
            with np.errstate(over="ignore", under="ignore"):
                found, expected = rnp.ldexp(x, n), np.ldexp(x, n)
            assert found.dtype == dtype
            assert (found == expected).all(), (dtype, n)
    assert math.isinf(rnp.ldexp(np.inf, -3))
