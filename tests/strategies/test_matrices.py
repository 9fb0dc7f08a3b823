"""Numbers and matrices have on every draw the property that their strategies construct."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.problems import determinant, diagonal, floats, positive_definite, smallest

from refgrad import exact
from refgrad.errors import InvalidInput
from refgrad.strategies.matrices import (
    ill_conditioned,
    orthogonal,
    spd,
    spd_with_spectrum,
    step_size,
    symmetric,
    turned_round,
    unit_triangular,
)
from refgrad.strategies.numbers import dyadics, integers, rationals, rough

SPECTRA = [
    [3],
    [1, 6],
    [2, 2],
    [Fraction(1, 2), 3],
    [1, 2, 16],
    [1, 2, 3, 4],
    [1, 1, 1, 2**20],
    [Fraction(1, 8), 2, 2, 5, 7, 64],
]


def has_spectrum(A, eigenvalues):
    """Whether the traces of the first n powers are the power sums of the eigenvalues: Newton's identities."""
    a = exact.asarray(A)
    power, agrees = a, len(A) == len(eigenvalues)
    for k in range(1, len(A) + 1):
        trace = sum(exact.to_fractions(power[i, i]) for i in range(len(A)))
        agrees = agrees and trace == sum(Fraction(x) ** k for x in eigenvalues)
        power = power @ a
    return agrees


def test_dyadic_numbers_are_fine_and_bounded_and_integers_when_they_can_be():
    found = draws(dyadics(3, 5), 100)
    assert all(-3 <= x < 3 and x * 32 == int(x * 32) for x in found)
    assert sum(x * 16 != int(x * 16) for x in found) > 20
    assert smallest(dyadics(3, 5), lambda x: x > 0) == 1
    assert smallest(dyadics(3, 5), lambda x: x != int(x)) == 1 / 32
    assert set(draws(dyadics(2, 0), 10)) == {-2, -1, 0, 1}
    assert all(float(np.float32(x)) == x for x in draws(dyadics(2, 23), 50))


@pytest.mark.parametrize(("bound", "bits"), [(2, 24), (2**20, 5), (0, 2), (2, -1)])
def test_dyadic_numbers_too_fine_for_float32_are_refused(bound, bits):
    with pytest.raises(InvalidInput, match=f"got bound {bound} and bits {bits}"):
        dyadics(bound, bits)


def test_rational_numbers_have_small_denominators_and_shrink_to_small_integers():
    found = draws(rationals(), 100)
    assert all(type(q) is Fraction and abs(q) <= 64 and 120 % q.denominator == 0 for q in found)
    assert {q.denominator for q in found} == {1, 2, 3, 4, 5, 8}
    assert smallest(rationals(), lambda q: q > 0) == 1
    assert smallest(rationals(), lambda q: q > 1) == 2
    assert smallest(rationals(), lambda q: q.denominator > 1) == Fraction(1, 2)


def test_rough_numbers_of_few_bits_are_odd_multiples_of_the_last():
    assert sorted(draws(rough(2, 3), 8)) == [-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75]


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_positive_definite_matrices_are_so_by_their_leading_minors(n):
    for A in draws(spd(n), 30):
        assert positive_definite(A)
        assert all(x == int(x) for x in floats(A))
        assert determinant(A) <= 4**n
    for A in draws(spd(n, "rough"), 30):
        assert positive_definite(A)
        assert all(x * 2**12 == int(x * 2**12) and abs(x) < 3 * n for x in floats(A))


@pytest.mark.parametrize("eigenvalues", SPECTRA, ids=str)
def test_a_chosen_spectrum_is_the_spectrum_exactly(eigenvalues):
    found = draws(spd_with_spectrum(eigenvalues), 30)
    for A in found:
        assert has_spectrum(A, eigenvalues)
        assert np.array_equal(A, np.transpose(A))
        assert all(float(np.float32(x)) == x for x in floats(A))
    if len(set(eigenvalues)) > 1:
        assert sum(not diagonal(np.array(A)) for A in found) > len(found) / 2


@pytest.mark.parametrize(
    ("eigenvalues", "message"),
    [
        ([], "expected positive eigenvalues"),
        ([1, 0, 1, 1], "expected positive eigenvalues"),
        ([1, -2], "expected positive eigenvalues"),
        ([2.0**101], "expected positive eigenvalues"),
        ([Fraction(1, 3), 1, 1, 1], "multiples of a power of two"),
        ([1, 1, 1, 2**20 + 1], "largest / 2\\^20"),
        ([1, 2**24 + 1], "largest / 2\\^24"),
        ([1, 2], "multiple of five times 1"),
        ([1, 2, 4], "multiple of five times 1"),
        ([2, Fraction(1, 2)], "multiple of five times 1/2"),
    ],
)
def test_an_impossible_spectrum_is_refused_before_anything_is_drawn(eigenvalues, message):
    with pytest.raises(InvalidInput, match=message):
        spd_with_spectrum(eigenvalues)


@pytest.mark.parametrize(("n", "kappa"), [(2, 256), (3, 16), (4, 2**14), (5, 8), (2, None), (4, None)])
def test_ill_conditioned_matrices_have_powers_of_two_up_to_kappa_as_eigenvalues(n, kappa):
    conditions = set()
    for A in draws(ill_conditioned(n, kappa), 40):
        guess = [2 ** round(math.log2(x)) for x in np.linalg.eigvalsh(A)]
        assert has_spectrum(A, guess)  # exactly; the floats above are only a guess
        assert min(guess) == 1
        conditions.add(max(guess))
    offered = {kappa} if kappa else {2**k for k in (range(2, 15) if n >= 4 else (4, 8, 12))}
    assert conditions <= offered
    assert len(conditions) >= min(len(offered), 6)


@pytest.mark.parametrize(("n", "kappa"), [(1, 2), (2, 8), (3, 2), (4, 3), (4, 2**21), (4, 0.5), (1, None)])
def test_impossible_condition_numbers_are_refused(n, kappa):
    with pytest.raises(InvalidInput, match=f"got n {n} and kappa {kappa}"):
        ill_conditioned(n, kappa)


@pytest.mark.parametrize("n", [4, 5, 6])
def test_orthogonal_matrices_are_orthogonal_and_dense(n):
    found = draws(orthogonal(n), 30)
    for Q in found:
        a = exact.asarray(Q)
        assert np.all(a @ a.T == np.eye(n, dtype=int))
        assert all(4 * x == int(4 * x) for x in floats(Q))
    assert sum(any(0 < abs(x) < 1 for x in floats(Q)) for Q in found) > len(found) / 2
    turned = [sum(max(map(abs, row)) < 1 for row in Q) for Q in found]
    assert max(turned) > 4 or n == 4
    with pytest.raises(InvalidInput, match="signed permutations"):
        orthogonal(3)


def test_matrices_shrink_to_the_identity_to_zeros_or_to_their_diagonal():
    identity = np.eye(4).tolist()
    assert smallest(spd(4)) == smallest(orthogonal(4)) == smallest(unit_triangular(4, integers())) == identity
    assert smallest(symmetric(2)) == [[0, 0], [0, 0]]
    for eigenvalues in ([1, 6], [1, 2, 16], [1, 2, 3, 4]):
        assert smallest(spd_with_spectrum(eigenvalues)) == np.diag(eigenvalues).tolist()
    assert smallest(ill_conditioned(4, 8)) == np.diag([1, 8, 1, 1]).tolist()
    assert smallest(spd(2), lambda A: A[0][1] != 0) == [[1, 1], [1, 2]]


def test_symmetric_matrices_are_symmetric_and_of_either_sign():
    found = draws(symmetric(3), 60)
    assert all(np.array_equal(A, np.transpose(A)) for A in found)
    assert any(determinant(A) < 0 for A in found)
    assert any(determinant(A) > 0 for A in found)


def test_a_matrix_turned_round_has_rows_and_columns_in_reverse_order():
    assert turned_round([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]) == [[9, 8, 7], [6, 5, 4], [3, 2, 1]]


def test_a_step_is_the_largest_power_of_two_below_the_reciprocals_of_all_traces():
    assert step_size([[[1.0]]]) == step_size([[[1.5]]]) == 1 / 2
    assert step_size([[[1.0, 0.0], [0.0, 2.5]], [[0.25]]]) == 1 / 4
    assert step_size([[[2.0**-3]]]) == 4
