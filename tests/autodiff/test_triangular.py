"""Triangular systems read one triangle; the Cholesky factor and QR are what their names say, on every kind of array."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from helpers.compositions import directional
from helpers.kinds import KINDS, ROUNDOFF, contains, few, table
from helpers.sampling import full_rank, positive_definite
from hypothesis import given
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jvp, value_and_grad, vjp
from refgrad.errors import InvalidInput, NotPositiveDefinite, NotRational, ShapeError, SingularMatrix

la = rnp.linalg


@few
@given(table(3, 3), table(3, 2), st.booleans(), st.booleans(), st.sampled_from([0, 1, "N", "T"]))
def test_a_triangular_system_is_the_system_of_the_triangle(a, b, lower, unit, trans):
    a, b = a + 0, exact.asarray(b)
    a[np.diag_indices(3)] = [1, -2, 3]
    masked = np.tril(a) if lower else np.triu(a)
    if unit:
        masked[np.diag_indices(3)] = 1
    whole = exact.asarray(masked.T if trans in (1, "T") else masked)
    options = {"lower": lower, "unit_diagonal": unit, "trans": trans}
    assert (la.solve_triangular(exact.asarray(a), b, **options) == la.solve(whole, b)).all()
    assert (la.solve_triangular(exact.asarray(a), b[:, 0], **options) == la.solve(whole, b[:, 0])).all()


@pytest.mark.parametrize("kind", ["floats", "strict"])
@pytest.mark.parametrize(("lower", "unit"), list(itertools.product([True, False], repeat=2)))
def test_the_other_triangle_is_not_read_and_has_derivative_zero(kind, lower, unit):
    clean = np.array([[2.0, 3.0, 1.0], [1.0, 4.0, 5.0], [-1.0, 1.0, 2.0]])
    others = np.triu(np.ones((3, 3), bool), 1 - unit) if lower else np.tril(np.ones((3, 3), bool), unit - 1)
    asarray = KINDS[kind]
    b = asarray([[1.0], [2.0], [3.0]])

    def f(a):
        return rnp.sum(la.solve_triangular(a, b, lower=lower, unit_diagonal=unit) ** 2)

    spoiled = asarray(np.where(others, np.nan, clean))
    value, gradient = value_and_grad(f)(spoiled)
    expected = value_and_grad(f)(asarray(clean))
    gradient = np.asarray(gradient)
    assert value == expected[0]
    assert (gradient[others] == 0).all()
    assert (gradient == np.asarray(expected[1])).all()
    assert (gradient[~others] != 0).any()
    second = np.asarray(hvp(f, spoiled, asarray(np.ones((3, 3)))))
    assert (second[others] == 0).all()
    assert np.isfinite(second).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_zero_on_the_diagonal_is_a_singular_matrix(kind):
    a, b = KINDS[kind]([[1, 0], [2, 0]]), KINDS[kind]([1, 1])
    with pytest.raises(SingularMatrix):
        la.solve_triangular(a, b, lower=True)
    assert not np.any(np.asarray(la.solve_triangular(a, b, lower=True, unit_diagonal=True) != KINDS[kind]([1, -1])))


def test_a_ball_that_contains_zero_on_the_diagonal_is_not_divided_by():
    third = exact.balls("1/3")
    with pytest.raises(SingularMatrix, match="cannot be told from one"):
        la.solve_triangular(rnp.reshape(third * 3 - 1, (1, 1)), exact.balls([1]))


def test_triangular_systems_refuse_other_options_and_shapes():
    with pytest.raises(InvalidInput, match="trans"):
        la.solve_triangular(np.eye(2), np.ones(2), trans=2)
    for a, b in ((np.eye(2), np.ones(3)), (np.ones((2, 3)), np.ones(2)), (np.eye(2), np.ones(()))):
        with pytest.raises(ShapeError):
            la.solve_triangular(a, b)


@few
@given(positive_definite(3, 3))
def test_cholesky_reads_one_triangle_and_has_the_derivatives_of_a_function_of_symmetric_matrices(s):
    s = exact.asarray(s)
    above, skew = exact.asarray([[0, 1, 2], [0, 0, 3], [0, 0, 0]]), exact.asarray([[0, 1, 2], [-1, 0, 3], [-2, -3, 0]])
    a = s + above
    factor = la.cholesky(a)
    assert (factor == la.cholesky(s)).all()
    assert (factor @ factor.T == s).all()
    assert (la.cholesky(a.T, upper=True) == factor.T).all()
    w = exact.asarray([[1, 0, 0], [2, 3, 0], [-1, 1, 2]])
    f = lambda a: rnp.sum(w * la.cholesky(a) ** 2)
    gradient = grad(f)(a)
    assert (gradient == gradient.T).all()
    assert (gradient == grad(f)(s)).all()
    assert (gradient == grad(lambda a: rnp.sum(w.T * la.cholesky(a, upper=True) ** 2))(a.T)).all()
    for order in (1, 2):
        assert all(found == 0 for found in directional(f, a, skew, order).values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", [la.cholesky, la.eigvalsh, lambda a: la.eigh(a).eigenvectors])
def test_the_other_triangle_of_a_symmetric_matrix_is_not_read_on_any_kind_of_array(kind, f):
    # the factor is [[3, 0], [4, 10]]; the eigenvalues of the second are 20 and 45, the eigenvectors (4, -3) and (3, 4)
    a = np.array([[9, 12], [12, 116]] if f is la.cholesky else [[29, 12], [12, 36]])
    found, expected = (f(KINDS[kind](x)) for x in (a + np.array([[0, 7], [0, 0]]), a))
    if kind == "balls":
        assert contains(found - expected, np.zeros(found.shape, int))
    else:
        assert np.all(np.asarray(found == expected))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("a", [[[1, 2], [2, 1]], [[-1, 0], [0, 1]], [[0, 0], [0, 1]]])
def test_a_matrix_that_is_not_positive_definite_is_a_typed_error(kind, a):
    with pytest.raises(NotPositiveDefinite, match="positive definite"):
        la.cholesky(KINDS[kind](a))
    with pytest.raises(NotPositiveDefinite):
        grad(lambda a: rnp.sum(la.cholesky(a)))(KINDS[kind](a))


def test_an_irrational_factor_is_refused_on_rationals_and_enclosed_by_balls():
    a = [[2, 1], [1, 3]]
    with pytest.raises(NotRational, match="square root of 2"):
        la.cholesky(exact.asarray(a))
    factor = la.cholesky(exact.balls(a))
    assert contains(factor @ factor.T, a)
    # the gradient of log det S = 2 log L_11 + 2 log L_22 is S^-1, here of determinant 5
    gradient = grad(lambda a: 2 * rnp.sum(rnp.log(la.diagonal(la.cholesky(a)))))(exact.balls(a))
    assert contains(gradient, [["3/5", "-1/5"], ["-1/5", "2/5"]])


def test_numpys_cholesky_of_an_exact_matrix_is_exact():
    assert (np.linalg.cholesky(exact.asarray([[4, 2], [2, 10]])) == [[2, 0], [1, 3]]).all()


@few
@given(full_rank(4, 2))
def test_qr_is_a_factorisation_with_a_positive_diagonal_on_rationals(a):
    a = exact.asarray(a)
    q, r = la.qr(a)
    assert (q @ r == a).all()
    assert (q.T @ q == np.eye(2, dtype=int)).all()
    assert r[1, 0] == 0
    assert (la.diagonal(r) > 0).all()
    assert (la.qr(a, mode="r") == r).all()


def test_the_product_of_q_and_r_has_the_derivatives_of_the_identity_map():
    rng = np.random.default_rng(0)
    w = rng.normal(size=(2, 5, 4))
    for dims in ((5, 3), (4, 4), (3, 5)):
        a, t = rng.normal(size=(2, *dims))
        f = lambda a: rnp.matmul(*la.qr(a))
        assert np.abs(jvp(f, (a,), (t,))[1] - t).max() <= 1024 * ROUNDOFF
        weights = w[0][: dims[0], :1] * np.ones(dims)
        assert np.abs(grad(lambda a: rnp.sum(f(a) * weights))(a) - weights).max() <= 1024 * ROUNDOFF
        q, r = la.qr(a)
        assert (np.tril(r, -1) == 0).all()
        theirs = np.linalg.qr(a)
        assert np.abs(q - theirs.Q).max() <= 64 * ROUNDOFF
        assert np.abs(r - theirs.R).max() <= 64 * np.linalg.norm(a) * ROUNDOFF


@pytest.mark.parametrize("kind", ["rationals", "balls"])
def test_dependent_columns_are_refused_on_exact_arrays(kind):
    with pytest.raises(SingularMatrix, match="column 1 depends"):
        la.qr(KINDS[kind]([[3, 3], [4, 4]]))


def test_qr_refuses_other_modes():
    with pytest.raises(InvalidInput, match="mode"):
        vjp(lambda a: la.qr(a, mode="complete"), np.eye(2))
