"""The min-norm point against all faces of the simplex, known answers, and the properties of its gap."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from helpers.drawing import draws

from refgrad import exact
from refgrad.contracts import multitask, tools
from refgrad.contracts.multitask.methods import affine
from refgrad.contracts.multitask.min_norm import is_unique, nearest_point, optimal_weights
from refgrad.contracts.multitask.min_norm_variants import DIRECTION_VARIANTS, MIN_NORM_VARIANTS
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.contracts.tools import NotApplicable
from refgrad.errors import Inconclusive, Undecided

VARIANT = {v.name: v.answer for v in MIN_NORM_VARIANTS}
DIRECTION = {v.name: v.answer for v in DIRECTION_VARIANTS}
KINDS = ("crisp", "rough", "ill_conditioned", "degenerate")


def eliminated(rows):
    """The solution of an augmented system of Fractions by elimination, or None if it is singular."""
    n = len(rows)
    for k in range(n):
        pivot = next((i for i in range(k, n) if rows[i][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(n):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def least_over_faces(J):
    """The least ``|J^T a|^2`` over the affine minimisers of all faces that lie in the simplex."""
    rows = [[Fraction(x) for x in row] for row in J]
    G = [[sum(a * b for a, b in zip(g, h, strict=True)) for h in rows] for g in rows]
    best = None
    for size in range(1, len(rows) + 1):
        for face in combinations(range(len(rows)), size):
            system = [[*(G[i][j] for j in face), Fraction(1), Fraction(0)] for i in face]
            system.append([*(Fraction(1) for _ in face), Fraction(0), Fraction(1)])
            found = eliminated(system)
            if found is not None and all(a >= 0 for a in found[:-1]):
                a = dict(zip(face, found, strict=False))
                value = sum(a[i] * a[j] * G[i][j] for i in face for j in face)
                best = value if best is None or value < best else best
    return best


@pytest.mark.parametrize("kind", KINDS)
def test_the_squared_norm_is_the_least_over_all_faces_of_the_simplex(kind):
    for inputs in draws(task_gradients(kind), 60):
        assert multitask.squared_norm(exact.asarray(inputs["J"])).value == least_over_faces(inputs["J"])


def test_many_gradients_that_drop_out_of_the_active_set_are_handled_too():
    rng = np.random.default_rng(5)
    for _ in range(60):
        rows, columns = int(rng.integers(5, 8)), int(rng.integers(3, 7))
        J = rng.integers(-4, 5, (rows, columns)) + rng.integers(0, 3, (1, columns)) * 3
        assert multitask.squared_norm(exact.asarray(J)).value == least_over_faces(J.tolist())


def test_what_the_method_begins_with_has_no_influence_on_where_it_ends():
    rng = np.random.default_rng(7)
    for _ in range(20):
        J = exact.asarray(rng.integers(-4, 5, (5, 4)) + rng.integers(0, 3, (1, 4)))
        G, best = J @ J.T, multitask.squared_norm(J).value
        for size in range(6):
            for start in combinations(range(5), size):
                a = nearest_point(G, start)
                assert a @ (G @ a) == best
                assert np.all(a >= 0)
                assert a.sum() == 1


@pytest.mark.parametrize("method", [optimal_weights, multitask.min_norm.plain, multitask.direction.plain])
def test_floats_and_balls_without_a_radius_give_what_the_rationals_give(method):
    for inputs in draws(task_gradients("degenerate"), 20) + draws(task_gradients("rough"), 20):
        J = np.array(inputs["J"])
        right = method(exact.asarray(J))
        assert np.array_equal(method(J), right.astype(float))
        with exact.precision(128):
            low, high = exact.bounds(method(exact.balls(exact.asarray(J))))
        assert all(
            a <= q <= b < a + Fraction(1, 2**80) for a, q, b in zip(low, exact.to_fractions(right), high, strict=True)
        )


@pytest.mark.parametrize("kind", KINDS)
def test_the_weights_satisfy_the_optimality_conditions_with_equality(kind):
    for inputs in draws(task_gradients(kind), 40):
        J = exact.asarray(inputs["J"])
        a = multitask.min_norm(J).value
        v = J.T @ a
        assert np.all(a >= 0)
        assert a.table.sum(a) == 1
        assert all((J[k] @ v == v @ v) if a[k] > 0 else (J[k] @ v >= v @ v) for k in range(len(a)))
        assert np.all(multitask.direction(J).value == v)
        assert multitask.gap(J, a) == 0
        assert multitask.shortfall(J, a) == 0


KNOWN = [
    ([[1], [2]], [1, 0]),
    ([[1, 0], [1000, 0]], [1, 0]),
    ([[1, 0], [-2, 0]], ["2/3", "1/3"]),
    ([[-3], [1], [0]], None),
    ([[1, -1, -2], [2, -3, -1], [3, -1, 1], [-3, 2, 3]], ["327/601", 0, "81/601", "193/601"]),
    ([[-2, 3, -1], [2, 1, 2], [-2, -1, 1], [-1, 2, -2]], [0, "23/70", "13/35", "3/10"]),
    ([[1, "1/100"], [-1, "1/100"], ["3/10", 1]], ["1/2", "1/2", 0]),
    ([[1, "1/100000000"], [1, "-3/100000000"]], ["3/4", "1/4"]),
    ([[0, 0], [3, 4]], [1, 0]),
    ([[5, 1]], [1]),
]


@pytest.mark.parametrize(("J", "weights"), KNOWN)
def test_published_and_textbook_inputs_have_their_known_weights(J, weights):
    J = exact.asarray(J)
    found = multitask.min_norm(J).value
    if weights is None:
        assert multitask.squared_norm(J).value == 0
    else:
        assert np.all(found == exact.asarray(weights))


def test_two_tasks_have_the_height_of_their_triangle():
    for inputs in draws(task_gradients("rough"), 40):
        J = exact.asarray(inputs["J"][:2])
        a, b, c = J[0] @ J[0], J[0] @ J[1], J[1] @ J[1]
        if b < a and b < c:
            assert multitask.squared_norm(J).value == (a * c - b * b) / (a + c - 2 * b)


def test_the_gap_is_positive_off_the_optimum_and_bounds_the_distance_of_the_direction():
    for inputs in draws(task_gradients("crisp"), 40):
        J = exact.asarray(inputs["J"])
        best = multitask.direction(J).value
        for weights in (exact.asarray([k + 1 for k in range(len(J))]), exact.asarray([1] * len(J))):
            v = J.T @ weights / weights.table.sum(weights)
            gap = multitask.gap(J, weights)
            assert gap >= (v - best) @ (v - best)
            assert (gap == 0) == np.all(v == best)


def test_the_shortfall_counts_sums_and_signs_at_the_scale_of_the_largest_gradient():
    J = exact.asarray([[3, 0], [0, 4]])
    a = multitask.min_norm(J).value
    assert np.all(a == exact.asarray(["16/25", "9/25"]))
    assert multitask.shortfall(J, 2 * a) == 16
    assert multitask.shortfall(J, 0 * a) == 16
    assert multitask.infeasibility(a) == 0
    assert multitask.infeasibility(exact.asarray(["5/4", "-1/4"])) == Fraction(1, 4)
    assert multitask.shortfall(J, exact.asarray(["5/4", "-1/4"])) == 9 + Fraction(1, 4) * 16
    assert multitask.shortfall(exact.asarray([[0, 0], [0, 0]]), exact.asarray([1, 1])) == 1


def test_a_rounding_of_the_weights_is_a_shortfall_of_a_few_units():
    unit = Fraction(1, 2**53)
    for inputs in draws(task_gradients("crisp"), 40):
        J = exact.asarray(inputs["J"])
        a = exact.asarray(multitask.min_norm(J).value.astype(float))
        assert multitask.shortfall(J, a) <= 4 * unit * multitask.squared_norm(J).magnitude


def test_weights_are_unique_unless_the_rows_at_the_optimum_are_affinely_dependent():
    for J, unique in (
        ([[1, 0], [0, 1]], True),
        ([[1, 0], [1, 0]], False),
        ([[1, 0], [1, 0], [-1, 0]], False),
        ([[1, 1], [1, -1], [1, 0]], False),
        ([[1, 0], [5, 0], [5, 0]], True),
    ):
        J = exact.asarray(J)
        assert is_unique(J, multitask.min_norm(J).value) == unique


CLAMPED = [
    ([[1], [2]], [Fraction(999, 1000), Fraction(1, 1000)]),
    ([[2], [1]], [Fraction(1, 1000), Fraction(999, 1000)]),
]


@pytest.mark.parametrize(("J", "weights"), CLAMPED)
def test_the_clamp_puts_a_thousandth_on_the_longer_gradient_of_a_vertex(J, weights):
    assert list(exact.to_fractions(VARIANT["clamp-0.999"](exact.asarray(J)).value)) == weights


def test_the_clamp_is_the_optimum_where_the_optimum_is_inside():
    J = exact.asarray([[1, 0], [-1, 3]])
    assert np.all(VARIANT["clamp-0.999"](J).value == multitask.min_norm(J).value)
    with pytest.raises(NotApplicable):
        VARIANT["clamp-0.999"](exact.asarray([[1], [2], [3]]))


def test_normalised_rows_have_the_weights_of_the_unit_vectors():
    J = exact.asarray([[4, 0, 0], [0, 3, 0], [0, 0, 5]])  # orthogonal: the units are the identity
    found = exact.evaluate(VARIANT["normalised-rows"], J)
    assert all(low <= Fraction(1, 3) <= high for low, high in zip(found.low.value, found.high.value, strict=True))
    assert not any(
        low <= w <= high
        for w, low, high in zip(
            exact.to_fractions(multitask.min_norm(J).value), found.low.value, found.high.value, strict=True
        )
    )
    J = exact.asarray([[1, 1, 0], [0, 3, 1], [2, -1, 5]])
    found = exact.evaluate(VARIANT["normalised-rows"], J)
    with exact.precision(256):
        rows = exact.balls(J)
        units = rows / rows.table.sqrt(rows.table.sum(rows * rows, (1,)))[:, None]
        v = units.T @ found.value.value
        products = [(units[k] @ v - v @ v).data.item() for k in range(3)]
    assert all(p.contains(0) or p > 0 for p in products)


def test_normalised_rows_that_cancel_have_the_weights_of_the_rows_times_their_lengths():
    J = exact.asarray([[3, 0], [0, 4], [-3, -4]])  # of lengths 3, 4 and 5, with equal weights
    found = exact.evaluate(VARIANT["normalised-rows"], J)
    for low, high, right in zip(found.low.value, found.high.value, (3, 4, 5), strict=True):
        assert low <= Fraction(right, 12) <= high


def test_the_best_pair_is_not_defined_where_several_differ():
    for J in ([[1, 0], [0, 1], [0, -1], [-1, 0]], [[1, 0], [1, 0]]):
        with pytest.raises(NotApplicable):
            VARIANT["best-pair-only"](exact.asarray(J))
    J = exact.asarray([[1, 0], [2, 1], [2, -1]])  # two pairs, one vertex
    assert np.all(VARIANT["best-pair-only"](J).value == exact.asarray([1, 0, 0]))
    assert VARIANT["best-pair-clamped"](J).value[1] == Fraction(1, 1000)


def test_variants_of_weights_have_their_closed_forms():
    J = exact.asarray([[1, 0], [0, 2], [1, 3]])

    def weights(name):
        return [str(w) for w in exact.to_fractions(VARIANT[name](J).value)]

    assert weights("uniform") == ["1/3"] * 3
    assert weights("smallest-gradient-only") == ["1", "0", "0"]
    assert weights("inverse-squared-norm") == ["20/27", "5/27", "2/27"]
    assert weights("best-pair-only") == ["4/5", "1/5", "0"]
    assert weights("affine") == ["2/3", "1", "-2/3"]  # J^T a = 0
    assert weights("affine-clipped") == ["2/5", "3/5", "0"]
    assert weights("scaled-by-count") == ["12/5", "3/5", "0"]
    assert [str(w) for w in exact.to_fractions(VARIANT["swapped-pair"](J[:2]).value)] == ["1/5", "4/5"]


def test_one_frank_wolfe_step_solves_the_line_search_from_equal_weights():
    J = exact.asarray([[1, 0], [0, 2], [1, 3]])
    weights = VARIANT["frank-wolfe-one-step"](J).value
    start, vertex = (J[0] + J[1] + J[2]) / 3, J[0]
    v = J.T @ weights
    assert v @ (vertex - start) == 0
    assert weights[1] == weights[2]


def test_directions_of_variants_are_the_rows_with_their_weights():
    for inputs in draws(task_gradients("crisp"), 20):
        J = exact.asarray(inputs["J"])
        for name in ("uniform", "smallest-gradient-only", "frank-wolfe-one-step"):
            assert np.all(DIRECTION[name](J).value == J.T @ VARIANT[name](J).value)
        assert np.all(DIRECTION["negated"](J).value == -multitask.direction(J).value)
        assert np.all(DIRECTION["sum-of-gradients"](J).value == len(J) * DIRECTION["uniform"](J).value)


def test_a_solver_that_is_wrong_is_caught_by_multiplying_back(monkeypatch):
    a, b = exact.asarray([[2, 1], [1, 3]]), exact.asarray([1, 2])
    assert np.all(a @ tools.checked_solve(a, b) == b)
    monkeypatch.setattr(a.table, "solve", lambda matrix, right: right)
    with pytest.raises(Inconclusive, match="multiplied back"):
        tools.checked_solve(a, b)


TINY = Fraction(1, 2**140)


@pytest.mark.parametrize(
    ("method", "rows", "truth"),
    [
        # |(1, 0) - (1, e)|^2 = e^2 is too small beside 1 for 128 bits: are the rows equal?
        (affine, [[1, 0], [1, TINY]], [1, 0]),
        (lambda J: J[0, :1] + is_unique(J, 0 * J[0] + [1, 0]), [[1, 0], [1, TINY]], [2]),
        # the third unit vector would be at the level of the other two, but for e
        (lambda J: VARIANT["normalised-rows"](J).value, [[1, 1, 0], [1, -1, 0], [1 + TINY, 0, 1]], ["1/2", "1/2", 0]),
    ],
)
def test_what_balls_cannot_tell_at_one_precision_they_tell_at_another(method, rows, truth):
    J = exact.asarray(rows)
    with exact.precision(128), pytest.raises(Undecided):
        method(exact.balls(J))
    with exact.precision(1024):
        low, high = exact.bounds(method(exact.balls(J)))
    assert all(x <= Fraction(t) <= y < x + Fraction(1, 2**100) for x, t, y in zip(low, truth, high, strict=True))


def test_unit_vectors_that_are_all_at_one_level_are_told_at_no_precision():
    with pytest.raises(Inconclusive):
        exact.evaluate(VARIANT["normalised-rows"], exact.asarray([[2, 1, 0], [2, -1, 0], [2, 0, 1], [2, 0, -1]]))
