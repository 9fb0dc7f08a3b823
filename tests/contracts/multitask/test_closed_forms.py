"""Closed forms of min-norm weights against Wolfe's method, the optimality conditions and truncated series."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import multitask
from refgrad.contracts.multitask.closed_forms import antiparallel, equal_angles, orthogonal, parallel, two_tasks
from refgrad.contracts.multitask.min_norm import is_unique
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.contracts.tools import NotApplicable
from refgrad.errors import InvalidInput
from refgrad.strategies.matrices import orthogonal as orthogonal_matrices
from refgrad.strategies.matrices import spd
from refgrad.strategies.numbers import matrix, rationals
from refgrad.theory.multitask.fictitious_play import fictitious_play

FORMS = (two_tasks, parallel, antiparallel, orthogonal, equal_angles)
FEW = settings(max_examples=30, deadline=None)
POSITIVE = st.builds(Fraction, st.integers(1, 9), st.integers(1, 5))


def same(a, b):
    return bool(np.all(a == b))


def is_optimal(J, a):
    """The optimality conditions: a in the simplex, and ``<v, g_k> >= |v|^2``, with equality where ``a_k > 0``."""
    v = J.T @ a
    level = v @ v
    feasible = same(a >= 0, True) and exact.to_fractions(a.sum()) == 1
    return feasible and all(g @ v == level if weight > 0 else g @ v >= level for g, weight in zip(J, a, strict=True))


def agrees_with_wolfe(J, answer):
    """Whether weights are optimal, have magnitude 1 and, where there is one choice of them, are those of Wolfe."""
    wolfe = multitask.min_norm(J).value
    return (
        is_optimal(J, answer.value)
        and same(J.T @ answer.value, J.T @ wolfe)
        and (not is_unique(J, wolfe) or same(answer.value, wolfe))
        and same(answer.magnitude, 0 * wolfe + 1)
    )


def identity(n):
    return exact.asarray(np.eye(n, dtype=int))


@pytest.mark.parametrize("entries", [rationals(4), st.integers(-2, 2)], ids=["fractions", "small integers"])
@FEW
@given(data=st.data())
def test_two_tasks_have_the_weights_that_wolfe_finds(entries, data):
    J = exact.asarray(data.draw(matrix(entries, 2, data.draw(st.integers(1, 3)))))
    assert agrees_with_wolfe(J, two_tasks(J))


BRANCHES = [
    ("the first is nearer than the segment", [[1, 0], [1000, 0]], [1, 0]),
    ("the second is nearer than the segment", [[3, 1], [1, 0]], [0, 1]),
    ("the foot of the height is the first, exactly", [[1, 0], [1, 7]], [1, 0]),
    ("the foot of the height is the second, exactly", [[1, 7], [1, 0]], [0, 1]),
    ("inside", [[2, 0], [-1, 1]], ["2/5", "3/5"]),
    ("antiparallel", [[1, 0], [-2, 0]], ["2/3", "1/3"]),
    ("equal", [[1, 2], [1, 2]], [1, 0]),
    ("the first is zero", [[0, 0], [3, 4]], [1, 0]),
    ("the second is zero", [[3, 4], [0, 0]], [0, 1]),
    ("both are zero", [[0, 0], [0, 0]], [1, 0]),
    ("nearly parallel", [[1, "1/1000000000"], [1, "-3/1000000000"]], ["3/4", "1/4"]),
]


@pytest.mark.parametrize(("J", "weights"), [b[1:] for b in BRANCHES], ids=[b[0] for b in BRANCHES])
def test_every_branch_of_two_tasks_has_its_known_weights(J, weights):
    J = exact.asarray(J)
    assert same(two_tasks(J).value, exact.asarray(weights))
    assert agrees_with_wolfe(J, two_tasks(J))


@FEW
@given(matrix(rationals(4), 1, 3), st.lists(POSITIVE, min_size=1, max_size=4))
def test_parallel_gradients_give_all_weight_to_the_shortest(row, multiples):
    J = exact.asarray(multiples)[:, None] * (exact.asarray(row) + identity(3)[:1] * 100)
    answer = parallel(J)
    assert agrees_with_wolfe(J, answer)
    assert answer.value[multiples.index(min(multiples))] == 1


@FEW
@given(matrix(rationals(4), 1, 3), POSITIVE)
def test_antiparallel_gradients_cancel_with_weights_in_the_ratio_of_the_other_lengths(row, s):
    g = exact.asarray(row)[0] + identity(3)[0] * 100
    J = exact.asarray([g, -s * g])
    answer = antiparallel(J)
    assert agrees_with_wolfe(J, answer)
    assert same(J.T @ answer.value, 0 * g)
    assert same(answer.value, two_tasks(J).value)
    assert answer.value[0] ** 2 * (g @ g) == answer.value[1] ** 2 * (J[1] @ J[1])


@FEW
@given(orthogonal_matrices(4), st.lists(POSITIVE, min_size=1, max_size=4))
def test_orthogonal_gradients_have_weights_by_inverse_squares_which_add_up_to_the_inverse_square(Q, lengths):
    J = exact.asarray(lengths)[:, None] * exact.asarray(Q)[: len(lengths)]
    answer = orthogonal(J)
    assert agrees_with_wolfe(J, answer)
    assert multitask.squared_norm(J).value == 1 / sum(1 / length**2 for length in lengths)


@FEW
@given(orthogonal_matrices(4), st.integers(1, 4), rationals(3), rationals(3))
def test_gradients_of_equal_angles_have_equal_weights(Q, count, own, common):
    # each product of two is 2 own common + count common^2, and own^2 more of one with itself
    rows = exact.asarray(Q)[:count]
    J = own * rows + common * rows.sum(0)[None, :]
    answer = equal_angles(J)
    assert agrees_with_wolfe(J, answer)
    assert multitask.squared_norm(J).value == (own + count * common) ** 2 / count


OUTSIDE = {
    two_tasks: [[[1, 0]], [[1, 0], [0, 1], [1, 1]]],
    parallel: [[[1, 0], [-1, 0]], [[1, 0], [0, 1]], [[1, 0], [0, 0]], [[2, 1], [2, 1], [1, 1]]],
    antiparallel: [[[1, 0], [1, 0]], [[1, 0], [-1, 1]], [[1, 0], [0, 0]], [[0, 0], [0, 0]], [[1], [-1], [1]]],
    orthogonal: [[[1, 0], [1, 1]], [[1, 0], [0, 0]], [[1, 0, 0], [0, 1, 0], [0, 1, 1]], [[0, 1]] * 2],
    equal_angles: [[[1, 0], [0, 2]], [[1, 0], [0, 1], [-1, 0]], [[1, 0], [0, 1], [0, 1]], [[0, 2], [1, 0]]],
}


@pytest.mark.parametrize("form", FORMS)
def test_a_closed_form_is_refused_where_its_hypothesis_does_not_hold(form):
    for J in OUTSIDE[form]:
        with pytest.raises(NotApplicable):
            form(exact.asarray(J))


@FEW
@given(st.sampled_from(("crisp", "degenerate")).flatmap(task_gradients))
def test_a_closed_form_is_refused_or_right(inputs):
    J = exact.asarray(inputs["J"])
    for form in FORMS:
        try:
            answer = form(J)
        except NotApplicable:
            continue
        assert agrees_with_wolfe(J, answer)


@FEW
@given(spd(3), matrix(rationals(4), 2, 3))
def test_half_the_squared_norm_has_the_gradient_a_k_v_by_the_k_th_gradient(M, change):
    J = exact.asarray([[2, 1, 0], [-1, 1, 1]]) @ exact.asarray(M)
    moving = line(J, exact.asarray(change))
    a = two_tasks(moving).value  # the branch is that of the constant terms
    v = moving.T @ a
    fixed = two_tasks(J).value
    by_envelope = (fixed[:, None] * (J.T @ fixed)[None, :] * exact.asarray(change)).sum()
    assert coefficient(v @ v / 2, 1) == by_envelope


@FEW
@given(task_gradients("crisp"), st.data())
def test_the_direction_solves_the_max_min_problem_and_every_other_vector_does_worse(inputs, data):
    J = exact.asarray(inputs["J"])
    v = multitask.direction(J).value
    u = exact.asarray(data.draw(matrix(rationals(3), 1, J.shape[1])))[0]
    assert (J @ v).min() == v @ v
    assert (J @ u).min() - u @ u / 2 <= v @ v / 2 - (u - v) @ (u - v) / 2


@FEW
@given(task_gradients("crisp"), orthogonal_matrices(4), POSITIVE)
def test_the_direction_turns_with_the_gradients_scales_with_them_and_knows_no_order(inputs, Q, scale):
    J = exact.asarray(inputs["J"])
    v = multitask.direction(J).value
    assert same(multitask.direction(J[::-1]).value, v)
    assert same(multitask.direction(scale * J).value, scale * v)
    turn = exact.asarray(Q)[: J.shape[1]]  # orthonormal rows
    assert same(multitask.direction(J @ turn).value, v @ turn)


@FEW
@given(task_gradients("crisp"), st.lists(POSITIVE, min_size=4, max_size=4))
def test_tasks_inside_the_hull_change_nothing_and_others_only_shorten_the_direction(inputs, shares):
    J = exact.asarray(inputs["J"])
    v = multitask.direction(J).value
    inside = exact.asarray(shares)[: len(J)]
    for added in (J[0], v, inside @ J / inside.sum()):
        assert same(multitask.direction(exact.asarray([*J, added])).value, v)
    assert multitask.squared_norm(exact.asarray([*J, J[0] - J[-1]])).value <= v @ v
    kept = [g for g, weight in zip(J, multitask.min_norm(J).value, strict=True) if weight > 0]
    assert same(multitask.direction(exact.asarray(kept)).value, v)


@FEW
@given(task_gradients("crisp"), st.lists(POSITIVE, min_size=4, max_size=4))
def test_whether_a_point_is_stationary_does_not_depend_on_the_scales_of_the_losses(inputs, scales):
    J = exact.asarray(inputs["J"])
    scaled = exact.asarray(scales)[: len(J), None] * J
    assert (multitask.squared_norm(J).value == 0) == (multitask.squared_norm(scaled).value == 0)


def test_the_sum_of_unit_gradients_serves_two_tasks_but_not_three():
    J = exact.asarray([[1, 0], ["-3/5", "4/5"], ["-3/5", "4/5"]])
    assert same(J @ J.sum(0), exact.asarray(["-1/5", "7/5", "7/5"]))
    assert same(J[:2] @ J[:2].sum(0), exact.asarray(["2/5", "2/5"]))
    assert same(multitask.direction(J).value, exact.asarray(["1/5", "2/5"]))
    assert same(J @ multitask.direction(J).value, exact.asarray(["1/5"] * 3))


@FEW
@given(st.sampled_from(("crisp", "degenerate")).flatmap(task_gradients), st.integers(1, 12))
def test_fictitious_play_is_frank_wolfe_with_the_step_one_over_n_plus_one(inputs, steps):
    J = exact.asarray(inputs["J"])
    weights = identity(len(J))[0]
    for n in range(1, steps):
        rates = list(exact.to_fractions(J @ (J.T @ weights)))
        vertex = identity(len(J))[rates.index(min(rates))]
        weights = weights + Fraction(1, n + 1) * (vertex - weights)
    found = fictitious_play(J, steps)
    assert same(found, weights)
    assert all(w.denominator == 1 and w >= 0 for w in steps * found)


@FEW
@given(task_gradients("crisp"))
def test_fictitious_play_meets_its_bound_and_the_gap_bounds_its_error(inputs):
    J = exact.asarray(inputs["J"])
    best = multitask.squared_norm(J).value
    spread = max(exact.to_fractions((g - h) @ (g - h)) for g in J for h in J)
    limit = (J[0] @ J[0] - best) / 2
    for n in range(1, 15):
        v = J.T @ fictitious_play(J, n)
        excess = (v @ v - best) / 2
        limit = limit + (spread / 2 / n if n > 1 else 0)
        assert n * excess <= limit
        assert excess <= multitask.gap(J, fictitious_play(J, n))


def test_fictitious_play_counts_the_turns_of_a_game_that_can_be_followed_by_hand():
    # u = 2, 1/2, 0, 1/2, 1/5, 0: the second is worst where u > 0, and at 0 the tie goes to the first
    J = exact.asarray([[2], [-1]])
    played = [list(exact.to_fractions(n * fictitious_play(J, n))) for n in range(1, 7)]
    assert played == [[1, 0], [1, 1], [1, 2], [2, 2], [2, 3], [2, 4]]
    with pytest.raises(InvalidInput, match="steps >= 1"):
        fictitious_play(J, 0)


def test_the_closed_forms_enclose_their_exact_values_on_balls():
    J = exact.asarray([[2, 0], [-1, 1]])
    with exact.precision(128):
        low, high = exact.bounds(two_tasks(exact.balls(J)).value)
    for below, above, right in zip(low, high, (Fraction(2, 5), Fraction(3, 5)), strict=True):
        assert below <= right <= above
        assert above - below < Fraction(1, 2**100)
