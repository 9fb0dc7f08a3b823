"""Linear algebra: what its functions read, where their derivatives exist, and that they are NumPy's."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from helpers.compositions import directional
from helpers.jets import coefficient, line
from helpers.sampling import full_rank, positive_definite, rows, symmetric
from helpers.strict import array_api_strict
from hypothesis import given, settings
from hypothesis import strategies as st

import refgrad.numpy as rnp
from refgrad import exact, grad, hvp, jacfwd, jvp, value_and_grad, vjp, vmap
from refgrad.autodiff.rules import determinant, norm
from refgrad.errors import (
    InvalidInput,
    NotConverged,
    NotPositiveDefinite,
    NotRational,
    ShapeError,
    SingularMatrix,
)

la = rnp.linalg
few = settings(max_examples=8, deadline=None, derandomize=True, database=None)
integers = st.integers(-3, 3)
KINDS = {
    "floats": lambda x: np.asarray(x, float),
    "rationals": exact.asarray,
    "balls": exact.balls,
    "strict": lambda x: array_api_strict.asarray(np.asarray(x, float)),
}
ROUNDOFF = 2.0**-52


def table(m, n):
    return st.lists(st.lists(integers, min_size=n, max_size=n), min_size=m, max_size=m).map(
        lambda x: np.array(x, object)
    )


def contains(balls, truth):
    """Whether every ball contains the number in its place, and is narrow."""
    low, high = exact.bounds(balls)
    x = exact.to_fractions(exact.asarray(truth))
    return bool(np.all((low <= x) & (x <= high) & (high - low < 2.0**-40)))


# triangular systems


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


# Cholesky


@few
@given(positive_definite(3, 3))
def test_cholesky_is_a_function_of_the_symmetric_part_in_value_and_in_every_derivative(a):
    a = exact.asarray(a)
    s, k = (a + a.T) / 2, (a - a.T) / 2
    factor = la.cholesky(a)
    assert (factor == la.cholesky(s)).all()
    assert (factor @ factor.T == s).all()
    assert (la.cholesky(a, upper=True) == factor.T).all()
    assert (la.cholesky(a.T) == factor).all()
    w = exact.asarray([[1, 0, 0], [2, 3, 0], [-1, 1, 2]])
    f = lambda a: rnp.sum(w * la.cholesky(a) ** 2)
    gradient = grad(f)(a)
    assert (gradient == gradient.T).all()
    assert (gradient == grad(f)(s)).all()
    skew = k + exact.asarray([[0, 1, 2], [-1, 0, 3], [-2, -3, 0]])
    for order in (1, 2):
        assert all(found == 0 for found in directional(f, a, skew, order).values())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("f", [la.cholesky, la.eigvalsh, lambda a: la.eigh(a).eigenvectors])
def test_the_skew_part_has_no_influence_on_any_kind_of_array(kind, f):
    # the factor is [[3, 0], [4, 10]]; the eigenvalues of the second are 20 and 45, the eigenvectors (4, -3) and (3, 4)
    a = np.array([[9, 12], [12, 116]] if f is la.cholesky else [[29, 12], [12, 36]])
    found, expected = (f(KINDS[kind](x)) for x in (a + np.array([[0, 7], [-7, 0]]), a))
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


# determinants


@st.composite
def of_rank(draw, n, rank):
    if rank == n:
        return draw(table(n, n))
    return draw(table(n, rank)) @ draw(table(rank, n)) if rank else np.zeros((n, n), int).astype(object)


@pytest.mark.parametrize(("n", "rank"), [(1, 0), (2, 1), (2, 0), (3, 3), (3, 2), (3, 1), (3, 0), (4, 3), (4, 2)])
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_the_derivatives_of_det_are_those_of_a_polynomial_at_every_rank(n, rank, data):
    a, v = exact.asarray(data.draw(of_rank(n, rank))), exact.asarray(data.draw(table(n, n)))
    series = la.det(line(a, v))  # by Leibniz
    assert la.det(a) == exact.asarray(coefficient(series, 0))
    for order, factorial in ((1, 1), (2, 2), (3, 6)):
        truth = exact.asarray(factorial * coefficient(series, order))
        for modes, found in directional(la.det, a, v, order).items():
            assert found == truth, modes


@pytest.mark.parametrize("directions", range(4))
@pytest.mark.parametrize(("n", "rank"), [(1, 1), (2, 1), (3, 3), (3, 2), (4, 2), (5, 4), (5, 0)])
@settings(max_examples=3, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_the_floating_cofactors_of_every_order_and_rank_are_the_exact_ones_to_rounding(n, rank, directions, data):
    a = np.asarray(data.draw(of_rank(n, rank)), object)
    es = [data.draw(table(n, n)) for _ in range(directions)]
    truth = determinant.cofactor(*map(exact.asarray, (a, *es))).astype(float)
    floats = [x.astype(float) for x in (a, *es)]
    found = determinant.cofactor(*floats)
    # a sum of products of n - 1 numbers, no larger than the norms; the factors U and V are orthogonal to rounding
    norms = [np.linalg.norm(x) for x in floats]
    terms = np.prod([n ** (directions + 1), *range(1, directions + 2)])
    scale = np.prod(norms[1:]) * max(norms[0], 1) ** max(n - 1 - directions, 0)
    assert np.abs(found - truth).max() <= 16 * n * terms * scale * ROUNDOFF
    assert determinant.cofactor(*(x.astype("float32") for x in floats)).dtype == np.float32


def test_cofactors_of_a_stack_are_the_stack_of_cofactors_with_nan_kept_to_its_own_matrix():
    a = np.random.default_rng(0).normal(size=(3, 2, 4, 4))
    a[1, 0, 2, 2] = np.nan
    e = np.random.default_rng(1).normal(size=(2, 4, 4))
    found = determinant.cofactor(a, e, e[0])
    for i, j in np.ndindex(3, 2):
        assert np.array_equal(found[i, j], determinant.cofactor(a[i, j], e[j], e[0]), equal_nan=True)
    assert np.isnan(found[1, 0]).all()
    assert np.isnan(found).sum() == 16


def test_the_determinant_of_nothing_is_one_and_has_a_gradient_of_its_shape():
    value, gradient = value_and_grad(la.det)(np.zeros((0, 0)))
    assert value == 1
    assert gradient.shape == (0, 0)


def test_slogdet_has_the_inverse_as_its_gradient_and_a_sign_without_one():
    a = [[1, 2], [3, 4]]
    sign, logabsdet = la.slogdet(exact.balls(a))
    assert sign == -1
    assert contains(rnp.exp(logabsdet), 2)
    gradient = grad(lambda a: la.slogdet(a).logabsdet)(exact.balls(a))
    assert contains(gradient, [[-2, "3/2"], [1, "-1/2"]])
    floats = np.array(a, float)
    assert (grad(lambda a: la.slogdet(a).sign * a[0, 0])(floats) == [[-1, 0], [0, 0]]).all()
    assert grad(lambda a: la.slogdet(a)[1])(np.diag([1e-200, 1e-200])).tolist() == [[1e200, 0], [0, 1e200]]
    assert la.slogdet(np.zeros((2, 2))) == (0, -np.inf)
    with pytest.raises(SingularMatrix):
        grad(lambda a: la.slogdet(a).logabsdet)(np.zeros((2, 2)))


# eigenvalues and eigenvectors


@few
@given(symmetric(3, 3))
def test_eigenvectors_are_orthonormal_and_of_the_symmetric_part(a):
    a = exact.asarray(a)
    s = (a + a.T) / 2
    w, v = la.eigh(a)
    assert (s @ v == v * w).all()
    assert (v.T @ v == np.eye(3, dtype=int)).all()
    assert (w[1:] > w[:-1]).all()
    assert (la.eigvalsh(s) == w).all()
    for column in exact.to_fractions(v).T:
        largest = max(map(abs, column))
        assert next(x for x in column if abs(x) == largest) > 0
    f = lambda a: la.eigh(a).eigenvectors[0, 1] * la.eigvalsh(a)[2]
    gradient = grad(f)(a)
    assert (gradient == gradient.T).all()
    assert (gradient == grad(f)(s)).all()
    balls = la.eigh(exact.balls(s))
    assert contains(balls.eigenvalues, w)
    assert contains(balls.eigenvectors, v)
    assert contains(grad(f)(exact.balls(s)), gradient)


def test_exact_matrices_without_a_rational_decomposition_are_refused_by_what_they_lack():
    golden = [[1, 1], [1, 0]]
    for f in (la.eigvalsh, la.eigh):
        with pytest.raises(NotRational, match="not all rational"):
            f(exact.asarray(golden))
    with pytest.raises(NotRational, match="square root"):  # eigenvectors (1, 1) and (1, -1) over the root of 2
        la.eigh(exact.asarray([[0, 1], [1, 0]]))
    for asarray in (exact.asarray, exact.balls):
        with pytest.raises(InvalidInput, match="different eigenvalues"):
            la.eigh(asarray([[1, 0], [0, 1]]))
    assert (la.eigvalsh(exact.asarray([[0, 1], [1, 0]])) == [-1, 1]).all()
    assert (la.eigvalsh(exact.asarray(np.eye(3, dtype=int))) == 1).all()
    w = la.eigvalsh(exact.balls(golden))
    assert contains(w * w - w, [1, 1])


def rotation():
    """An orthogonal matrix in floats."""
    return np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]


@pytest.mark.parametrize("turned", [False, True])
def test_eigenvectors_of_equal_eigenvalues_have_no_derivative_and_do_not_spoil_a_subset_without_them(turned):
    q = rotation() if turned else np.eye(3)
    a = (q * [1.0, 1.0, 3.0]) @ q.T
    e = np.array([[1.0, 2.0, 3.0], [2.0, -1.0, 4.0], [3.0, 4.0, 2.0]])
    direction = q @ e @ q.T
    top = {"subset_by_index": (2, 2)}
    # of diag(1, 1, 3), perturbation theory: d w = E_33, d^2 w = 2 sum_i E_i3^2 / (3 - 1)
    for order, truth in ((1, 2.0), (2, 3.0**2 + 4.0**2)):
        for modes, found in directional(lambda a: la.eigvalsh(a, **top)[0], a, direction, order).items():
            assert abs(found - truth) <= 256 * truth * ROUNDOFF, modes
    v = la.eigh(a, **top).eigenvectors[:, 0]
    # d v_3 = sum_i v_i E_i3 / (3 - 1), in the sign that v_3 has
    expected = q @ np.array([1.5, 2.0, 0.0]) * (v @ q[:, 2])
    dv = jvp(la.eigh, (a,), (direction,))[1].eigenvectors
    assert np.isnan(dv[:, :2]).all()
    assert np.abs(dv[:, 2] - expected).max() <= 256 * ROUNDOFF
    gradient = grad(lambda a: rnp.sum(la.eigh(a, **top).eigenvectors[:, 0] * direction[0]))(a)
    assert abs(np.sum(gradient * direction) - expected @ direction[0]) <= 1024 * ROUNDOFF
    assert np.isnan(grad(lambda a: la.eigh(a).eigenvectors[0, 2])(a)).any()


def projected(a):
    """a - 1, by way of its eigenvectors."""
    w, v = la.eigh(a)
    return (v * (w - 1)) @ v.T


UNKNOWABLE = {
    "sum (w - 1)^2": (lambda a: rnp.sum((la.eigvalsh(a) - 1) ** 2), 2),
    "|V (w - 1) V^T|^2": (lambda a: rnp.sum(projected(a) ** 2), 2),
    "V (w - 1) V^T": (lambda a: rnp.sum(projected(a)), 1),
}


@pytest.mark.parametrize("name", UNKNOWABLE)
def test_what_equal_eigenvalues_hide_is_nan_and_never_a_wrong_number_even_where_cotangents_vanish(name):
    # all three are polynomials of a, but at the identity the eigenvectors have cotangents that are 0
    f, order = UNKNOWABLE[name]
    for modes, found in directional(f, np.eye(3), np.ones((3, 3)), order).items():
        assert np.isnan(found), modes


@pytest.mark.parametrize("subset", [(0, 0), (1, 1), (0, 1), (1, 2), (0, 2)])
def test_a_subset_of_eigenvalues_is_a_part_of_all_in_value_and_derivative(subset):
    part = slice(subset[0], subset[1] + 1)
    q = exact.asarray([[1, 2, 2], [2, 1, -2], [2, -2, 1]]) / 3
    a = q @ exact.asarray([[1, 0, 0], [0, 2, 0], [0, 0, 4]]) @ q.T
    whole, some = la.eigh(a), la.eigh(a, subset_by_index=subset)
    assert (some.eigenvalues == whole.eigenvalues[part]).all()
    assert (some.eigenvectors == whole.eigenvectors[:, part]).all()
    assert (la.eigvalsh(a, subset_by_index=subset) == whole.eigenvalues[part]).all()
    t = exact.asarray([[1, 2, 0], [3, -1, 1], [1, 1, 2]])
    f = lambda a: rnp.sum(la.eigh(a, subset_by_index=subset).eigenvectors[:, 0] * t[0])
    g = lambda a: rnp.sum(la.eigh(a).eigenvectors[:, part][:, 0] * t[0])
    assert list(directional(f, a, t, 2).values()) == list(directional(g, a, t, 2).values())


@pytest.mark.parametrize("subset", [(1, 0), (-1, 0), (0, 2)])
def test_a_subset_of_eigenvalues_lies_within_them(subset):
    with pytest.raises(InvalidInput, match="subset_by_index"):
        la.eigh(np.eye(2), subset_by_index=subset)


@pytest.mark.parametrize("module", [np, array_api_strict])
def test_the_first_derivative_of_symmetric_functions_of_equal_eigenvalues_is_right(module):
    q = rotation()
    a = (q * [2.0, 2.0, 2.0]) @ q.T
    gradient = grad(lambda a: rnp.sum(la.eigvalsh(a) ** 3))(module.asarray(a))
    assert np.abs(np.asarray(gradient) - 12 * np.eye(3)).max() <= 256 * ROUNDOFF


@pytest.mark.parametrize("f", [la.eigh, la.eigvalsh])
def test_a_decomposition_that_does_not_converge_is_a_typed_error(f, monkeypatch):
    def fails(a):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigvalsh", fails)
    with pytest.raises(NotConverged, match="finite numbers; Eigenvalues did not converge"):
        f(np.eye(2))


@pytest.mark.parametrize("asarray", [exact.asarray, exact.balls])
def test_of_components_of_one_magnitude_the_first_is_positive(asarray):
    v = np.array([[2, 2, 1], [-2, 1, 2], [1, -2, 2]])  # columns of length 3
    a = asarray(v) @ asarray(np.diag([1, 4, 10])) @ asarray(v.T)
    found = la.eigh(a / 3).eigenvectors * 3
    assert contains(exact.balls(found), v)


# QR


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
        la.qr(np.eye(2), mode="complete")


# norms and singular values


def test_ratio_is_a_quotient_that_knows_zero_over_zero_and_nothing_else_over_zero():
    a, b = np.array([0.0, 0.0, 1.0, np.nan, 6.0]), np.array([0.0, 2.0, 0.0, 0.0, 3.0])
    assert norm.ratio(a, b)[[0, 1, 4]].tolist() == [0.0, 0.0, 2.0]
    assert np.isnan(norm.ratio(a, b)[[2, 3]]).all()
    assert norm.ratio(exact.asarray(0), exact.asarray(0)) == 0
    with pytest.raises(ZeroDivisionError):
        norm.ratio(exact.asarray([1, 0]), exact.asarray([0, 0]))


def test_a_norm_at_zero_does_not_spoil_the_norms_beside_it():
    x = np.array([[3.0, 4.0], [0.0, 0.0]])
    f = lambda x: rnp.sum(la.norm(x, axis=1))
    assert np.abs(grad(f)(x) - [[0.6, 0.8], [0.0, 0.0]]).max() <= ROUNDOFF
    assert (grad(f)(x) == vmap(grad(la.norm))(x)).all()
    product = hvp(f, x, np.array([[1.0, 0.0], [0.0, 0.0]]))
    # H = (I - u u^T) / |x| for one row; the other has none
    assert np.abs(product[0] - [0.64 / 5, -0.48 / 5]).max() <= ROUNDOFF
    assert np.isnan(product[1]).all()


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros(3, "float32"), array_api_strict.zeros(3)])
def test_the_square_of_a_norm_at_zero_has_no_second_derivative_rather_than_a_wrong_one(x):
    # it is 2, but every factor of the rules that would say so is 0 or does not exist
    for modes, found in directional(lambda x: la.norm(x) ** 2, x, x + 1, 2).items():
        assert np.isnan(np.asarray(found)), modes


ORDERS = [
    *((o, axis, 3) for o in (None, 1, 2, np.inf, -np.inf) for axis in (0, -1)),
    *((o, axis, 3) for o in (None, "fro", "nuc", 1, 2, np.inf, -np.inf) for axis in ((0, 1), (2, 0), (-1, 1))),
    *((o, None, 2) for o in (None, "fro", "nuc", 1, 2, np.inf, -np.inf)),
    *((o, None, 1) for o in (None, 1, 2, np.inf, -np.inf)),
    (None, None, 3),
]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("ord", "axis", "ndim"), ORDERS)
def test_norms_are_numpys_and_have_gradients_of_the_shape_of_x(ord, axis, ndim, keepdims):
    x = np.random.default_rng(0).normal(size=(3, 4, 2)[:ndim])
    expected = np.linalg.norm(x, ord, axis, keepdims)
    found = la.norm(x, ord, axis, keepdims)
    assert np.shape(found) == np.shape(expected)
    assert np.abs(found - expected).max() <= 64 * ROUNDOFF * np.max(expected)
    value, gradient = value_and_grad(lambda x: rnp.sum(np.linalg.norm(x, ord, axis, keepdims)))(x)
    assert gradient.shape == x.shape
    # a norm is homogeneous: x . grad = norm (Euler)
    assert abs(np.sum(x * gradient) - value) <= 256 * ROUNDOFF * value
    assert gradient.astype("float32").dtype == grad(lambda x: rnp.sum(la.norm(x, ord, axis)))(x.astype("float32")).dtype


def test_norms_that_take_no_root_are_exact_on_rationals():
    x = exact.asarray([["1/3", -2], [-1, "1/2"]])
    assert la.norm(x, 1) == Fraction(5, 2)
    assert la.norm(x, np.inf, axis=(1, 0)) == Fraction(5, 2)
    assert (grad(lambda x: la.norm(x, 1))(x) == [[0, -1], [0, 1]]).all()
    assert la.vector_norm(x, ord=1) == Fraction(23, 6)
    with pytest.raises(NotRational):
        la.norm(x)


def test_norms_refuse_orders_that_are_not_there():
    for x, ord, axis in ((np.ones(2), 3, None), (np.eye(2), "sum", None), (np.ones((2, 2, 2)), 1, None)):
        with pytest.raises((InvalidInput, ShapeError), match="expected"):
            la.norm(x, ord, axis)
    with pytest.raises(ShapeError):
        la.norm(np.eye(2), axis=(0, 0))


@pytest.mark.parametrize("dims", [(3, 3), (4, 2), (2, 5), (2, 4, 3), (0, 2), (1, 1)])
def test_singular_values_are_numpys_and_keep_small_ones(dims):
    x = np.random.default_rng(0).normal(size=dims)
    found = la.svdvals(x)
    expected = np.linalg.svdvals(x)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max(initial=0) <= 64 * ROUNDOFF * expected.max(initial=0)
    graded = la.svdvals(np.diag([1.0, 1e-10]))
    assert abs(graded[1] - 1e-10) <= 4 * ROUNDOFF


def test_the_gradient_of_singular_values_is_an_outer_product_of_singular_vectors():
    x = np.random.default_rng(0).normal(size=(5, 2))  # three eigenvalues that are zero take part
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    for k in range(2):
        gradient = grad(lambda x: la.svdvals(x)[k])(x)
        assert np.abs(gradient - np.outer(u[:, k], vt[k])).max() <= 256 * ROUNDOFF
    # the sum of fourth powers of singular values is |x^T x|^2, whose Hessian is known
    f = lambda x: rnp.sum(la.svdvals(x) ** 4)
    t = np.random.default_rng(1).normal(size=(5, 2))
    expected = 4 * (t @ x.T @ x + x @ t.T @ x + x @ x.T @ t)
    assert np.abs(hvp(f, x, t) - expected).max() <= 4096 * ROUNDOFF * s[0] ** 2 * np.abs(t).max()


# the namespace

A, B = (np.random.default_rng(seed).normal(size=(3, 3)) for seed in (1, 2))
S = A @ A.T + np.eye(3)
STACK = np.random.default_rng(3).normal(size=(2, 3, 3)) + 3 * np.eye(3)
CALLS = {
    "cholesky": lambda l: l.cholesky(S),
    "cholesky upper": lambda l: l.cholesky(S, upper=True),
    "cross": lambda l: l.cross(STACK, A),
    "det": lambda l: l.det(STACK),
    "diagonal": lambda l: l.diagonal(STACK),
    "diagonal above": lambda l: l.diagonal(STACK[:, :, :2], offset=1),
    "diagonal below": lambda l: l.diagonal(STACK[:, :2], offset=-1),
    "diagonal outside": lambda l: l.diagonal(A, offset=7),
    "eigh": lambda l: l.eigh(S),
    "eigvalsh": lambda l: l.eigvalsh(S),
    "inv": lambda l: l.inv(STACK),
    "matmul": lambda l: l.matmul(A, STACK),
    "matrix_norm": lambda l: l.matrix_norm(STACK, ord=1, keepdims=True),
    "matrix_power": lambda l: l.matrix_power(STACK, 5),
    "matrix_power 0": lambda l: l.matrix_power(A, 0),
    "matrix_power -2": lambda l: l.matrix_power(STACK, -2),
    "matrix_transpose": lambda l: l.matrix_transpose(STACK),
    "multi_dot": lambda l: l.multi_dot([A, B, S]),
    "multi_dot of two": lambda l: l.multi_dot([A, B]),
    "multi_dot with vectors": lambda l: l.multi_dot([A[0], B, S[1]]),
    "norm": lambda l: l.norm(A),
    "outer": lambda l: l.outer(A[0], B[0]),
    "qr": lambda l: l.qr(STACK),
    "slogdet": lambda l: l.slogdet(STACK),
    "solve": lambda l: l.solve(STACK, A),
    "solve a vector": lambda l: l.solve(STACK, A[0]),
    "svdvals": lambda l: l.svdvals(A),
    "trace": lambda l: l.trace(STACK, offset=1),
    "tensordot": lambda l: l.tensordot(STACK, A, axes=1),
    "vecdot": lambda l: l.vecdot(STACK, A, axis=-2),
    "vector_norm": lambda l: l.vector_norm(STACK, axis=(0, 1), ord=np.inf),
}


class Traced:
    """NumPy's own functions, of traced values."""

    def __getattr__(self, name):
        def function(*args, **kwargs):
            traced = lambda x: jvp(lambda x: getattr(np.linalg, name)(x, *args[1:], **kwargs), (x,), (x,))[0]
            return traced(args[0])

        return function


@pytest.mark.parametrize("call", CALLS)
def test_the_functions_are_numpys_by_name_plain_and_traced(call):
    f = CALLS[call]
    expected = f(np.linalg)
    for found in (f(la), f(Traced())):
        pairs = zip(found, expected, strict=True) if isinstance(expected, tuple) else [(found, expected)]
        if isinstance(expected, tuple):
            assert found._fields == expected._fields
        for x, y in pairs:
            assert np.shape(x) == np.shape(y)
            assert np.abs(x - y).max(initial=0) <= 1024 * ROUNDOFF * (1 + np.abs(y).max(initial=0))


def test_every_name_of_the_namespace_that_numpy_has_is_compared_with_numpys():
    assert {name.split()[0] for name in CALLS} >= {name for name in la.__all__ if hasattr(np.linalg, name)}


def test_the_diagonal_and_the_trace_are_differentiated():
    assert (grad(la.trace)(A) == np.eye(3)).all()
    assert (jacfwd(lambda a: la.diagonal(a, offset=-1))(A)[:, [1, 2], [0, 1]] == np.eye(2)).all()


SHAPES = {
    "solve_triangular": (lambda a, b: la.solve_triangular(a, b, lower=True), (2, 1, 3, 3), (4, 3, 2)),
    "solve_triangular of a vector": (la.solve_triangular, (2, 3, 3), (3,)),
    "cofactor": (determinant.cofactor, (3, 3), (2, 1, 3, 3)),
    "vecdot": (la.vecdot, (2, 1, 3), (4, 3)),
    "ratio": (norm.ratio, (2, 1), (3,)),
    "outer": (la.outer, (2,), (3,)),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SHAPES)
def test_gradients_have_the_shapes_and_dtypes_of_broadcast_arguments(name, dtype):
    f, *dims = SHAPES[name]
    arrays = [np.random.default_rng(1).uniform(1, 2, d).astype(dtype) for d in dims]
    y, back = vjp(f, *arrays)
    assert [(g.shape, g.dtype) for g in back(np.ones_like(y))] == [(a.shape, a.dtype) for a in arrays]
    gradients = grad(lambda *x: rnp.sum(f(*x) ** 2), (0, 1))
    assert [(h.shape, h.dtype) for h in jvp(gradients, tuple(arrays), tuple(arrays))[1]] == [
        (a.shape, a.dtype) for a in arrays
    ]


COMPOSED = {
    "inv": la.inv,
    "matrix_power": lambda a: la.matrix_power(a, 3),
    "matrix_power -1": lambda a: la.matrix_power(a, -1),
    "eigh": lambda a: la.eigh(a).eigenvectors * la.eigh(a).eigenvalues,
    "qr": lambda a: la.qr(a).R,
    "norm": la.norm,
    "matrix norm": lambda a: la.norm(a, "nuc"),
    "slogdet": lambda a: la.slogdet(a)[0] * la.slogdet(a)[1],
    "trace": la.trace,
    "diagonal": la.diagonal,
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", COMPOSED)
def test_composites_keep_float32_and_batch_as_the_loop(name, dtype):
    f = lambda a: rnp.sum(COMPOSED[name](a) ** 2)
    stack = STACK.astype(dtype)
    found = vmap(grad(f))(stack)
    loop = np.stack([grad(f)(a) for a in stack])
    assert found.dtype == loop.dtype == dtype
    assert np.abs(found - loop).max() <= 64 * np.finfo(dtype).eps * np.abs(loop).max()
    assert hvp(f, stack[0], stack[1]).dtype == dtype


def test_one_matrix_that_examples_share_is_factored_with_each_of_them():
    factor = exact.asarray([[2, 0], [1, 3]])
    b = exact.asarray([[1, 2], [3, 4], [5, 6]])
    one = lambda a, b: la.solve_triangular(a, b, lower=True)
    assert (vmap(one, (None, 0))(factor, b) == np.stack([one(factor, x) for x in b])).all()
    matrices = exact.asarray(rows([[[2, 0], [1, 3]], [[1, 0], [4, 5]]]))
    assert (vmap(one, (0, None))(matrices, b[0]) == np.stack([one(a, b[0]) for a in matrices])).all()
    assert (
        vmap(grad(lambda a: rnp.sum(one(a, b[0]))))(matrices)[1] == grad(lambda a: rnp.sum(one(a, b[0])))(matrices[1])
    ).all()


@pytest.mark.parametrize("name", ["inv", "det", "slogdet", "cholesky", "eigh", "eigvalsh", "matrix_power"])
def test_matrices_that_are_not_square_are_refused_by_shape(name):
    args = (2,) if name == "matrix_power" else ()
    for a in (np.ones((2, 3)), np.ones(3)):
        with pytest.raises(ShapeError, match=rf"{name.removesuffix('vals')}.*expected shape"):
            getattr(la, name)(a, *args)


def test_powers_and_products_refuse_what_they_cannot_take():
    with pytest.raises(InvalidInput, match="integer"):
        la.matrix_power(A, 0.5)
    with pytest.raises(ShapeError, match="two arrays"):
        la.multi_dot([A])
    with pytest.raises(ShapeError, match="two vectors"):
        la.outer(A, A)
    with pytest.raises(ShapeError, match="svdvals: expected shape"):
        la.svdvals(np.ones(3))


def test_an_empty_stack_gives_an_empty_stack():
    a = [[[2, 0], [0, 1]]]
    empty = exact.asarray(np.empty((0, 2, 2), object))
    assert la.cholesky(empty).shape == (0, 2, 2)
    assert la.eigvalsh(empty).shape == (0, 2)
    assert determinant.cofactor(empty, exact.asarray(a)[0]).shape == (0, 2, 2)
