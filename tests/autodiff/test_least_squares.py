"""Solutions by least squares, pseudoinverses and singular values: what closed forms say, on rationals with ==."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.compositions import compositions, directional
from helpers.kinds import KINDS, ROUNDOFF, few
from helpers.sampling import full_rank
from hypothesis import given

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, stage, value_and_grad, vmap
from refgrad.errors import InvalidInput, NoDerivative, ShapeError, SingularMatrix

la = rnp.linalg
rng = np.random.default_rng(0)
ILL = np.linalg.qr(rng.normal(size=(8, 3)))[0] * [1.0, 1e-5, 1e-9] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]


def normal_equations(a):
    """The pseudoinverse by another way: solves, whose rules are independent of least squares."""
    m, n = a.shape
    return la.solve(a.T @ a, a.T) if m >= n else la.solve(a @ a.T, a).T


@few
@given(full_rank(4, 2), full_rank(2, 3), full_rank(3, 3))
def test_the_pseudoinverse_and_all_its_derivatives_are_those_of_the_normal_equations_on_rationals(tall, wide, square):
    for a in (exact.asarray(a) for a in (tall, wide, square)):
        m, n = a.shape
        p = la.pinv(a)
        assert (p == normal_equations(a)).all()
        assert (p @ (a @ p) == p).all()
        assert (a @ p == (a @ p).T).all()
        w, v = (exact.asarray((np.arange(m * n).reshape(s) ** 2 + k) % 7 - 3) for s, k in (((n, m), 0), ((m, n), 3)))
        found, truth = ((lambda a, f=f: rnp.sum(w * f(a))) for f in (la.pinv, normal_equations))
        for order in (1, 2):
            (one,) = set(map(str, directional(truth, a, v, order).values()))
            assert {str(x) for x in directional(found, a, v, order).values()} == {one}


@few
@given(full_rank(4, 2), full_rank(2, 4))
def test_a_solution_is_the_pseudoinverse_times_the_right_hand_side_in_every_composition_of_modes(tall, wide):
    for a in map(exact.asarray, (tall, wide)):
        b = exact.asarray((np.arange(3 * len(a)).reshape(len(a), 3) ** 2) % 5)
        x, residuals, rank, s = la.lstsq(a, b)
        assert (x == normal_equations(a) @ b).all()
        assert (rank, s) == (2, None)
        r = b - a @ x
        assert (residuals == rnp.sum(r * r, axis=0)).all() if a.shape[0] > 2 else residuals.shape == (0,)
        f, g = (lambda a, b: rnp.sum(la.lstsq(a, b)[0] ** 2)), (lambda a, b: rnp.sum((normal_equations(a) @ b) ** 2))
        vs = exact.asarray((np.arange(8).reshape(a.shape) ** 2) % 3), b - 1
        truths = dict(compositions(g, (a, b), vs, (1, 2)))
        assert all(found == truths[modes] for modes, found in compositions(f, (a, b), vs, (1, 2)))


def test_a_line_through_three_points_has_the_slope_and_its_derivatives_of_the_textbook():
    # slope = sum (t - mean t) y / sum (t - mean t)^2; by y linear, by t a quotient
    t, y = exact.asarray([0, 1, 5]), exact.asarray([1, 3, 2])
    design = lambda t: rnp.stack([t, t * 0 + 1], axis=1)
    slope = lambda t, y: la.lstsq(design(t), y).x[0]
    centred = t - 2
    assert slope(t, y) == Fraction(0 - 2 + (-1) * 3 + 3 * 2, 4 + 1 + 9)
    gt, gy = grad(slope, (0, 1))(t, y)
    assert (gy == centred / 14).all()
    assert (gt == (y - 2) / 14 - 2 * centred * slope(t, y) / 14).all()


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4)])
@pytest.mark.parametrize("columns", [None, 2])
def test_numpys_own_functions_on_traced_matrices_give_what_they_give_on_plain_ones(shape, columns):
    a = rng.normal(size=shape)
    b = rng.normal(size=shape[0] if columns is None else (shape[0], columns))
    seen = []

    def f(a, b):
        found = np.linalg.lstsq(a, b)
        seen.append(found)
        return np.sum(found.x**2) + np.sum(found[3]) + np.sum(found[1]) + np.sum(np.linalg.pinv(a))

    expected = np.linalg.lstsq(a, b)
    value, (ga, gb) = value_and_grad(f, (0, 1))(a, b)
    assert seen[0].rank == expected[2]
    sizes = [np.shape(part) for part in seen[0]]
    assert sizes == [np.shape(part) for part in expected]
    assert ga.shape == a.shape
    assert gb.shape == b.shape
    total = np.sum(expected[0] ** 2) + np.sum(expected[3]) + np.sum(expected[1]) + np.sum(np.linalg.pinv(a))
    assert abs(value - total) <= 1e4 * ROUNDOFF * (abs(total) + 1)
    assert stage(f)(a, b) == value


def test_a_plain_matrix_may_have_any_rank_and_its_pseudoinverse_and_solution_are_numpys():
    a, b = np.ones((3, 2)), np.array([1.0, 2.0, 6.0])
    assert np.array_equal(la.pinv(a), np.linalg.pinv(a))
    assert la.lstsq(a, b).x.tolist() == np.linalg.lstsq(a, b)[0].tolist()
    assert la.lstsq(a, b).rank == 1
    assert len(la.svd(a)) == 3


@pytest.mark.parametrize("kind", ["floats", "rationals", "strict"])
@pytest.mark.parametrize("a", [[[1, 1], [1, 1], [1, 1]], [[1, 2, 3], [2, 4, 6]], [[0, 0], [0, 0]]])
def test_a_matrix_without_full_rank_has_no_derivative_and_the_error_says_what_to_do(kind, a):
    a = KINDS[kind](a)
    for f in (la.pinv, lambda a: la.lstsq(a, a[:, 0]).x):
        for transformed in (grad(lambda a, f=f: rnp.sum(f(a))), lambda a, f=f: jvp(f, (a,), (a,))):
            with pytest.raises(SingularMatrix, match="full rank"):
                transformed(a)
    with pytest.raises(SingularMatrix, match="add a ridge"):
        grad(lambda a: rnp.sum(np.linalg.pinv(a)))(np.ones((3, 2)))


def test_a_matrix_that_rcond_calls_deficient_is_refused_and_one_that_it_does_not_is_the_same():
    a = np.diag([1.0, 1e-3])
    for f in (lambda a, r: np.linalg.pinv(a, rcond=r), lambda a, r: np.linalg.lstsq(a, np.ones(2), rcond=r)[0]):
        with pytest.raises(SingularMatrix, match=r"rcond=0\.01"):
            grad(lambda a: np.sum(f(a, 0.01)))(a)
        assert (grad(lambda a: np.sum(f(a, 1e-4)))(a) == grad(lambda a: np.sum(f(a, None)))(a)).all()


def test_a_ridge_learner_in_closed_form_has_its_hypergradient():
    # w = (X^T X + lam)^-1 X^T y by least squares of the stacked system: the same as the normal equations
    x, y = rng.normal(size=(7, 3)), rng.normal(size=7)

    def stacked(lam):
        a = np.concatenate([x, np.sqrt(lam) * np.eye(3)])
        return np.linalg.lstsq(a, np.concatenate([y, np.zeros(3)]))[0]

    normal = lambda lam: np.linalg.solve(x.T @ x + lam * np.eye(3), x.T @ y)
    for order in (1, 2):
        f, g = (lambda lam: np.sum(stacked(lam) ** 3)), (lambda lam: np.sum(normal(lam) ** 3))
        for _ in range(order):
            f, g = grad(f), grad(g)
        assert abs(f(0.5) - g(0.5)) <= 1e4 * ROUNDOFF * abs(g(0.5))


def test_stacks_of_matrices_have_stacks_of_pseudoinverses():
    a = rng.normal(size=(2, 4, 3))
    p = np.linalg.pinv
    f = lambda a: np.sum(p(a) ** 2)
    g = grad(f)(a)
    assert np.abs(g - vmap(grad(f))(a)).max() <= 2.0**-40
    assert np.abs(g - np.stack([grad(f)(x) for x in a])).max() <= 2.0**-40
    solutions = vmap(lambda a, b: np.linalg.lstsq(a, b)[0])(a, a[..., 0])
    assert np.abs(solutions - [1.0, 0.0, 0.0]).max() <= 2.0**-45


def test_a_matrix_of_condition_1e9_keeps_the_digits_that_its_square_would_lose():
    b = ILL @ np.array([1.0, -2.0, 3.0])
    truth = exact.to_fractions(normal_equations(exact.asarray(ILL)) @ exact.asarray(b))
    found = np.array(jvp(lambda b: np.linalg.lstsq(ILL, b)[0], (b,), (b,)))
    for x in found:  # of a linear map the derivative along b is the value
        error = max(abs(Fraction(float(e)) - t) for e, t in zip(x, truth, strict=True))
        assert error <= 64 * 1e9 * ROUNDOFF * 3
    # what the normal equations lose
    lost = np.linalg.solve(ILL.T @ ILL, ILL.T @ b)
    assert max(abs(Fraction(float(e)) - t) for e, t in zip(lost, truth, strict=True)) > 1e-3


def test_singular_values_without_vectors_are_svdvals_and_vectors_are_refused_by_name():
    a = np.array([[3.0, 0.0], [4.0, 5.0], [0.0, 0.0]])  # a.T @ a = [[25, 20], [20, 25]]
    f = lambda a: np.linalg.svd(a, compute_uv=False)
    value, gradient = value_and_grad(lambda a: np.sum(f(a) ** 2))(a)
    assert abs(value - 50) <= 64 * ROUNDOFF * 50
    assert np.abs(gradient - 2 * a).max() <= 64 * ROUNDOFF * 10
    assert np.abs(hvp(lambda a: np.sum(f(a) ** 2), a, a) - 2 * a).max() <= 1024 * ROUNDOFF * 10
    s = np.array([[1.0, 9.0], [3.0, 1.0]])  # of the lower triangle the eigenvalues are 4 and -2
    hermitian = lambda a: np.linalg.svd(a, compute_uv=False, hermitian=True)
    y, g = jvp(hermitian, (s,), (np.eye(2),))
    assert np.abs(y - [4, 2]).max() <= 16 * ROUNDOFF
    assert np.abs(g - [1, -1]).max() <= 16 * ROUNDOFF
    for call in (np.linalg.svd, lambda a: np.linalg.svd(a, full_matrices=False)):
        with pytest.raises(NoDerivative, match=r"singular vectors.*compute_uv=False"):
            grad(lambda a, call=call: np.sum(call(a)[1]))(a)


def test_other_shapes_and_options_are_refused():
    for a, b in ((np.ones((3, 2)), np.ones(2)), (np.ones((2, 3, 2)), np.ones(3)), (np.eye(2), np.ones(()))):
        with pytest.raises(ShapeError, match="lstsq"):
            grad(lambda a, b=b: rnp.sum(la.lstsq(a, b).x))(a)
    with pytest.raises(InvalidInput, match="inv"):
        grad(lambda a: np.sum(np.linalg.pinv(a, hermitian=True)))(np.eye(2))
