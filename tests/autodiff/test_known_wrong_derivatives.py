"""Derivatives that widely used engines have computed wrongly: every mode here gives the true one.

The inputs are those of public reports; the truth is derived by hand in each test.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.jets import JETS, coefficient, line
from helpers.modes import directional

import refgrad.numpy as rnp
from refgrad import exact, grad, hessian, hvp, jacfwd, jacrev

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
