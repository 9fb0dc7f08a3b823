"""The min-norm point of the package equals the quantity, with ==; on floats its gap is at the level of rounding."""

from __future__ import annotations

import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts.multitask.min_norm import direction as true_direction
from refgrad.contracts.multitask.min_norm import gap as true_gap
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.multitask import gap, mgda_direction, min_norm

module = sys.modules["refgrad.multitask.min_norm"]  # whose name in the package is the function

some = settings(max_examples=60, deadline=None, derandomize=True, database=None)
integer_matrices = st.integers(1, 5).flatmap(
    lambda k: st.integers(1, 4).flatmap(
        lambda n: st.lists(st.lists(st.integers(-3, 3), min_size=n, max_size=n), min_size=k, max_size=k)
    )
)


@pytest.mark.proves("min-norm", "min-norm-gap")
@some
@given(rows=integer_matrices)
def test_on_rationals_the_gap_is_exactly_zero_and_the_direction_is_the_contracts(rows):
    J = exact.asarray(rows)
    result = min_norm(J)
    assert result.gap == 0
    assert (result.weights >= 0).all()
    assert result.weights.sum() == 1
    assert (result.direction == true_direction(J).value).all()
    assert (mgda_direction(J) == result.direction).all()


@pytest.mark.proves("min-norm-two")
@some
@given(rows=st.lists(st.lists(st.integers(-4, 4), min_size=3, max_size=3), min_size=2, max_size=2))
def test_two_weights_are_the_height_of_the_triangle_in_every_branch(rows):
    g, h = (np.array(r, object) for r in rows)
    a, b, c = (Fraction(int(x)) for x in (g @ g, g @ h, h @ h))
    result = min_norm(exact.asarray(rows))
    if (g == h).all():
        assert (result.weights == Fraction(1, 2)).all()
    else:
        first = Fraction(1) if b >= a else Fraction(0) if b >= c else (c - b) / (a + c - 2 * b)
        assert exact.to_fractions(result.weights).tolist() == [first, 1 - first]


@pytest.mark.proves("min-norm-gap")
@some
@given(rows=integer_matrices, data=st.data())
def test_the_gap_bounds_the_distance_for_any_weights_in_the_simplex(rows, data):
    J = exact.asarray(rows)
    parts = data.draw(st.lists(st.integers(0, 5), min_size=len(rows), max_size=len(rows)))
    weights = exact.asarray([Fraction(p + 1, sum(parts) + len(rows)) for p in parts])
    difference = weights @ J - min_norm(J).direction
    assert difference @ difference <= gap(J, weights)


@pytest.mark.parametrize("kind", ["crisp", "rough", "ill_conditioned", "degenerate"])
@some
@given(data=st.data())
def test_on_floats_the_exact_gap_is_at_the_level_of_rounding(kind, data):
    rows = data.draw(task_gradients(kind))["J"]
    J = np.array(rows, float)
    weights = min_norm(J).weights
    normalised = exact.asarray(weights) / exact.asarray(weights).sum()
    found = true_gap(exact.asarray(J), normalised)
    # one rounding of each weight moves the gap by at most u |g|^2 per row, and there are at most K of them twice over
    scale = exact.asarray(np.abs(J)).max() ** 2 * J.shape[1]
    assert found <= exact.asarray(2.0**-53) * 8 * J.shape[0] * scale


@pytest.mark.parametrize("shift", [1e-8, 1e-9])
def test_nearly_parallel_pairs_keep_their_digits(shift):
    # the Gram formula gives 0.7857 at 1e-8 and 0/0 at 1e-9
    assert abs(min_norm(np.array([[1.0, shift], [1.0, -3 * shift]])).weights[0] - 0.75) < 1e-7


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_gradients_of_different_length_are_accurate_in_either_order(order):
    rows = [["1", "2", "-1"], ["-1e8", "1e8", "2e8"]]  # in conflict, so that both have weight
    J = exact.asarray([rows[i] for i in order])
    truth = min_norm(J).direction.astype(float)
    assert np.abs(min_norm(J.astype(float)).direction - truth).max() <= 1e-14 * np.abs(truth).max()


def test_the_largest_and_smallest_floats_are_no_trouble():
    assert min_norm(np.array([[1e308, 1.0], [-1e308, 1.0]])).weights.tolist() == [0.5, 0.5]
    assert min_norm(np.array([[5e-324, 0.0], [0.0, 5e-324]])).weights.tolist() == [0.5, 0.5]

    largest, smallest = np.finfo(float).max, 5e-324
    for size in (largest, smallest, smallest * 3):
        for rows in (np.ones((3, 4)), np.eye(3), [[1.0, 0], [-1, 0], [0, 1]]):
            with np.errstate(over="ignore", invalid="ignore"):  # of the gap, a square
                result = min_norm(np.array(rows) * size)
            truth = min_norm(np.array(rows)).weights @ np.array(rows)
            assert np.abs(result.weights @ np.array(rows) - truth).max() <= 1e-14


@pytest.mark.parametrize("kind", ["random", "small beside its rows", "zero inside", "shifted"])
@pytest.mark.parametrize("shape", [(3, 12), (10, 40), (10, 1000)])
def test_where_rounding_is_all_that_is_left_no_system_is_solved(kind, shape, monkeypatch):
    rng = np.random.default_rng(sum(shape))
    J = rng.normal(size=shape)
    if kind == "small beside its rows":
        J = J - J.mean(axis=0) + 1e-6 * rng.normal(size=shape[1])
    elif kind == "zero inside":
        J = J[:, :2] - J[:, :2].mean(axis=0)
    elif kind == "shifted":
        J = J + rng.normal(size=shape[1])
    steps, step = [], module._towards_affine_minimiser
    monkeypatch.setattr(module, "_towards_affine_minimiser", lambda *args: steps.append(args) or step(*args))
    weights = min_norm(J).weights
    assert len(steps) <= 1
    found = true_gap(exact.asarray(J), exact.asarray(weights) / exact.asarray(weights).sum())
    assert found <= exact.asarray(2.0**-53) * 8 * len(J) * exact.asarray(np.max(np.sum(J * J, axis=1)))


def test_three_nearly_parallel_gradients_keep_their_digits():
    # the point (1, 0, 0) is inside a triangle of size 1e-8; the residual of the least squares alone cannot see where
    J = np.array([[1.0, 1e-8, 0.0], [1.0, -1e-8, 1e-8], [1.0, 0.0, -2e-8]])
    assert np.abs(min_norm(J).weights - [0.4, 0.4, 0.2]).max() < 1e-7


@pytest.mark.parametrize("seed", range(40))
def test_gradients_of_very_different_length_keep_their_digits(seed):
    # the least squares alone leave up to 1e-6, and least squares without a scale up to 1e9 attainable errors
    rng = np.random.default_rng(seed)
    J = rng.normal(size=(5, 8)) * 10.0 ** rng.uniform(-6, 6, (5, 1))
    truth, found = min_norm(exact.asarray(J)).direction, min_norm(J).direction
    assert np.linalg.norm(found - truth.astype(float)) <= 5e-14 * np.linalg.norm(truth.astype(float))
    assert exact.error(found, truth) <= 5 * exact.attainable(mgda_direction, (J,), "float64")


def test_known_exact_points():
    cases = {
        ((0, 0), (3, 4)): (1, 0),
        ((1, 0), (1000, 0)): (1, 0),
        ((1, 0), (-2, 0)): (Fraction(2, 3), Fraction(1, 3)),
        ((1, Fraction(1, 100)), (-1, Fraction(1, 100)), (Fraction(3, 10), 1)): (Fraction(1, 2), Fraction(1, 2), 0),
        ((1, -1, -2), (2, -3, -1), (3, -1, 1), (-3, 2, 3)): tuple(Fraction(n, 601) for n in (327, 0, 81, 193)),
        ((-2, 3, -1), (2, 1, 2), (-2, -1, 1), (-1, 2, -2)): (0, Fraction(23, 70), Fraction(13, 35), Fraction(3, 10)),
    }
    for rows, weights in cases.items():
        assert exact.to_fractions(min_norm(exact.asarray(rows)).weights).tolist() == list(weights), rows


def test_the_scale_does_not_matter():
    J = exact.asarray([[1, 2, 0], [-1, 1, 1], [0, -2, 1]])
    v = min_norm(J).direction
    assert (min_norm(7 * J).direction == 7 * v).all()
    for scale in (1e-150, 1e150):
        weights = min_norm(J.astype(float) * scale).weights
        assert np.allclose(weights, min_norm(J).weights.astype(float), rtol=0, atol=1e-14)


def test_float32_stays_float32_and_says_whether_it_descends():
    result = min_norm(np.array([[1.0, 0.0], [0.0, 1.0], [-0.5, 1.0]], np.float32))
    assert result.weights.dtype == result.direction.dtype == np.float32
    assert result.descends
    assert not min_norm(np.array([[1.0], [-1.0]])).descends
