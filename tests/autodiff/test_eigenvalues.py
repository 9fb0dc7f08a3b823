"""Eigenvalues and eigenvectors, exactly where they are rational; what equal eigenvalues hide is NaN."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.compositions import directional
from helpers.kinds import ROUNDOFF, contains, few
from helpers.sampling import symmetric
from helpers.strict import array_api_strict
from hypothesis import given

import refgrad.numpy as rnp
from refgrad import exact, grad, jvp
from refgrad.errors import InvalidInput, NotConverged, NotRational

la = rnp.linalg


@few
@given(symmetric(3, 3))
def test_eigenvectors_are_orthonormal_and_of_the_triangle_that_is_read(s):
    s = exact.asarray(s)
    above = exact.asarray([[0, 1, 2], [0, 0, 3], [0, 0, 0]])
    a, upper = s + above, s + above.T
    w, v = la.eigh(a)
    assert all((x == y).all() for x, y in zip(la.eigh(upper, UPLO="U"), (w, v), strict=True))
    assert (la.eigvalsh(upper, "u") == w).all()
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


@few
@given(symmetric(3, 3), symmetric(3, 3))
def test_the_derivatives_of_a_stack_are_those_of_its_matrices(a, b):
    stack, v = exact.asarray(np.stack([a, b])), exact.asarray(np.arange(18).reshape(2, 3, 3) ** 2 % 7)
    for f in (lambda a: la.eigh(a).eigenvectors, lambda a: la.eigh(a).eigenvectors[..., 1:], la.eigvalsh):
        tangent = jvp(f, (stack,), (v,))[1]
        gradient = grad(lambda a, f=f: rnp.sum(f(a)))(stack)
        for i in range(2):
            assert (tangent[i] == jvp(f, (stack[i],), (v[i],))[1]).all()
            assert (gradient[i] == grad(lambda a, f=f: rnp.sum(f(a)))(stack[i])).all()


def test_eigenvalues_of_a_stack_are_equal_by_the_size_of_their_own_matrix():
    w = np.array([[1.0, 2.0, 4.0], [2.0**80, 2.0**81, 2.0**82]])
    stack, v = w[:, :, None] * np.eye(3), np.ones((2, 3, 3))
    gaps = w[:, None, :] - w[:, :, None] + np.eye(3)
    tangent = jvp(lambda a: la.eigh(a).eigenvectors, (stack,), (v,))[1]
    assert (tangent == (1 - np.eye(3)) / gaps).all()


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


@pytest.mark.parametrize("f", [la.eigh, la.eigvalsh])
def test_a_triangle_is_the_lower_or_the_upper_one(f):
    with pytest.raises(InvalidInput, match="UPLO"):
        f(np.eye(2), UPLO="X")


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
    def fails(a, UPLO):
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
