"""Elastic weight consolidation of quadratic tasks against ridge regression on all data, in rational numbers."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.errors import SingularMatrix
from refgrad.theory.continual import laplace
from refgrad.theory.continual.quadratic_tasks import QuadraticTask, half_sum_of_squares, minimiser, ridge
from refgrad.theory.continual.scaling import CONVENTIONS, Sizes

DATA = [
    ([[1, 2], [3, -1], [0, 1]], [1, 2, -1]),
    ([[2, 1], [1, 1], [-1, 3], [1, 0]], [0, 3, 1, 2]),
    ([[1, -1], [2, 2]], [4, -3]),
    ([[0, 3], [1, 1], [1, -2]], [1, 0, 5]),
]


def a(x):
    return exact.asarray(x)


def joined(*parts):
    """Rows below one another."""
    return a([row for part in parts for row in part])


DATASETS = [(a(X), a(y)) for X, y in DATA]
A, B, C, D = TASKS = [half_sum_of_squares(X, y) for X, y in DATASETS]
JOINT = [ridge(joined(*(X for X, _ in DATA[:k])), joined(*(y for _, y in DATA[:k])), 0) for k in range(1, 5)]
LAM = a("3/7")
identity = a([[1, 0], [0, 1]])
unit = [a([1, 0]), a([0, 1])]


def slope(f, theta):
    """The gradient of a polynomial of degree two, from symmetric differences with step 1."""
    return a([exact.to_fractions(f(theta + e) - f(theta - e)) / 2 for e in unit])


def quadratic(F, d):
    return d @ (F @ d)


def test_a_task_has_the_derivatives_of_its_series_and_the_loss_of_its_data():
    theta, v = a(["1/2", -3]), a([2, 5])
    assert np.all(A.grad(theta) == slope(A, theta))
    assert A.hvp(theta, v) @ v == A(theta + v) + A(theta - v) - 2 * A(theta)
    assert np.all(A.hvp(theta, v) == (A.grad(theta + v) - A.grad(theta - v)) / 2)
    X, y = DATASETS[0]

    def squares(theta):
        return (X @ theta - y) @ (X @ theta - y) / 2

    assert A(theta) == squares(theta) - squares(A.c)
    assert A.times(Fraction(1, 3))(theta) == A(theta) / 3


def test_the_ridge_solution_makes_the_penalised_sum_of_squares_stationary():
    (X, y), tau = DATASETS[1], a("2/3")

    def loss(theta):
        return (X @ theta - y) @ (X @ theta - y) / 2 + theta @ theta / 3

    theta = ridge(X, y, tau)
    assert np.all(slope(loss, theta) == 0)
    assert not np.all(slope(loss, theta + 1) == 0)
    assert np.all(ridge(X, y, 0) == B.c)


def test_a_task_without_a_single_optimum_is_refused():
    with pytest.raises(SingularMatrix):
        half_sum_of_squares(a([[1, 2], [2, 4]]), a([1, 1]))


def test_the_optimum_makes_loss_and_penalty_stationary_and_every_other_point_larger():
    theta = laplace.ewc_optimum(B, A.c, A.H, LAM)

    def objective(at):
        return B(at) + LAM * quadratic(A.H, at - A.c) / 2

    assert np.all(B.grad(theta) + LAM * A.H @ (theta - A.c) == 0)
    for step in (unit[0], -unit[1], a([1, -1])):
        assert objective(theta + step / 100) > objective(theta)


numbers = st.integers(-3, 3)
rows = st.lists(st.tuples(numbers, numbers, numbers), max_size=3)


@settings(max_examples=25, deadline=None)
@given(rows, rows, st.integers(0, 3))
def test_the_full_fisher_gives_ridge_regression_on_the_data_of_both_tasks(old, new, tau):
    independent = [(1, 0, 2), (1, 1, -1)]  # so that both tasks have a single optimum
    old, new = [*independent, *old], [*independent, *new]
    (XA, yA), (XB, yB) = ((a([r[:2] for r in data]), a([r[2] for r in data])) for data in (old, new))
    both = XA.table.concat([XA, XB], 0), yA.table.concat([yA, yB], 0)
    anchor, precision = ridge(XA, yA, tau), XA.T @ XA + tau * identity
    joint = ridge(*both, tau)
    task = half_sum_of_squares(XB, yB)
    assert np.all(laplace.ewc_optimum(task, anchor, precision, 1) == joint)
    N_A, N_B = len(yA), len(yB)
    means = laplace.ewc_optimum(task.times(Fraction(1, N_B)), anchor, precision / N_A, Fraction(N_A, N_B))
    assert np.all(means == joint)


PENALTIES = {
    "sums": lambda S, d, N, lam: lam * quadratic(S, d) / 2,
    "sum-loss-mean-fisher": lambda S, d, N, lam: lam * quadratic(S / N, d) / 2,
    "means": lambda S, d, N, lam: lam * quadratic(S / N, d) / 2,
    "means-missing-half": lambda S, d, N, lam: lam * quadratic(S / N, d),
    "mean-loss-sum-fisher": lambda S, d, N, lam: lam * quadratic(S, d) / 2,
    "n-minus-1": lambda S, d, N, lam: lam * quadratic(S / (N - 1), d) / 2,
    "mean-over-parameters": lambda S, d, N, lam: lam * quadratic(S / N, d) / 2 / 2,
}


def test_every_convention_has_its_penalty_here():
    assert list(PENALTIES) == [c.name for c in CONVENTIONS]
    assert len({c.lam(Sizes(3, 5, 7)) for c in CONVENTIONS}) == len(CONVENTIONS)


@pytest.mark.parametrize("convention", CONVENTIONS, ids=lambda c: c.name)
def test_the_lambda_of_a_convention_makes_the_joint_optimum_stationary(convention):
    N_A, N_B = len(DATASETS[0][1]), len(DATASETS[1][1])
    task = B.times(Fraction(1, N_B) if convention.loss == "mean" else 1)

    def objective(lam):
        return lambda theta: task(theta) + PENALTIES[convention.name](A.H, theta - A.c, N_A, lam)

    lam = convention.lam(Sizes(N_A, N_B, 2))
    assert np.all(slope(objective(lam), JOINT[1]) == 0)
    assert not np.all(slope(objective(2 * lam), JOINT[1]) == 0)


def by_cramers_rule(M, b):
    """The solution for two unknowns, of arrays of any numbers."""
    det = M[0, 0] * M[1, 1] - M[0, 1] * M[1, 0]
    return [(M[1, 1] * b[0] - M[0, 1] * b[1]) / det, (M[0, 0] * b[1] - M[1, 0] * b[0]) / det]


def test_the_optimum_moves_with_lambda_as_its_derivative_says():
    old, new, pull_old, pull_new = (line(x, 0 * x) for x in (A.H, B.H, A.H @ A.c, B.H @ B.c))
    lam = line(LAM, 0 * LAM + 1)
    series = by_cramers_rule(new + lam * old, pull_new + lam * pull_old)
    for i in range(2):
        assert laplace.ewc_optimum(B, A.c, A.H, LAM)[i] == a(coefficient(series[i], 0))
        assert laplace.ewc_optimum_by_lam(B, A.c, A.H, LAM)[i] == a(coefficient(series[i], 1))


def test_with_lambda_the_penalty_falls_and_the_loss_of_the_new_task_rises():
    path = [laplace.ewc_optimum(B, A.c, A.H, lam) for lam in (0, LAM, 1, 5)]
    penalties, losses = [quadratic(A.H, theta - A.c) for theta in path], [B(theta) for theta in path]
    assert all(after < before for before, after in pairwise(penalties))
    assert all(after > before for before, after in pairwise(losses))


def test_at_lambda_zero_the_old_task_is_forgotten_and_at_infinity_the_new_one_not_learnt():
    assert np.all(laplace.ewc_optimum(B, A.c, A.H, 0) == B.c)
    # divided by lambda, the objective is the old task with the new one as a penalty of weight 1 / lambda
    assert np.all(laplace.ewc_optimum(B, A.c, A.H, LAM) == laplace.ewc_optimum(A, B.c, B.H, 1 / LAM))
    assert np.all(laplace.ewc_optimum(A, B.c, B.H, 0) == A.c)


def test_one_penalty_recentred_after_every_task_gives_the_joint_optima():
    for mode, joint in zip(laplace.recentred_modes(TASKS), JOINT, strict=True):
        assert np.all(mode == joint)


def test_a_prior_that_is_a_first_task_enters_once():
    tau = a("5/2")
    prior = QuadraticTask(tau * identity, a([0, 0]))
    X, y = joined(*(X for X, _ in DATA)), joined(*(y for _, y in DATA))
    assert np.all(laplace.recentred_modes([prior, *TASKS])[-1] == ridge(X, y, tau))
    assert not np.all(minimiser(prior, prior, *TASKS) == ridge(X, y, tau))


def test_penalties_centred_at_the_optima_of_their_own_tasks_give_the_joint_optimum():
    assert np.all(minimiser(*TASKS) == JOINT[3])


def test_penalties_centred_at_the_penalised_optima_miss_the_joint_optimum_by_the_formula_for_three_tasks():
    modes = laplace.per_task_modes(TASKS)
    assert np.all(modes[0] == A.c)
    assert np.all(modes[1] == JOINT[1])
    third = C.grad(modes[2]) + A.H @ (modes[2] - A.c) + B.H @ (modes[2] - JOINT[1])
    assert np.all(third == 0)
    error = modes[2] - JOINT[2]
    assert not np.all(error == 0)
    assert np.all((A.H + B.H + C.H) @ error == B.H @ (JOINT[1] - B.c))
    assert np.all(laplace.per_task_bias([A, B, C]) == error)


def test_the_error_of_one_penalty_for_each_task_is_the_formula_for_any_number_of_tasks():
    for k in range(1, 5):
        assert np.all(laplace.per_task_bias(TASKS[:k]) == laplace.per_task_modes(TASKS[:k])[-1] - JOINT[k - 1])


def weighted(weights):
    """Ridge regression with every example of task t counted weights[t] times, by the normal equations."""
    H = sum(w * X.T @ X for w, (X, _) in zip(weights, DATASETS, strict=True))
    b = sum(w * X.T @ y for w, (X, y) in zip(weights, DATASETS, strict=True))
    return H, b


def test_a_decay_in_both_places_weights_every_task_by_its_age_and_one_in_the_accumulation_alone_does_not():
    gamma = Fraction(2, 3)
    H, b = weighted([gamma**3, gamma**2, gamma, 1])
    joint = laplace.decayed_joint(TASKS, gamma)
    assert np.all(H @ joint == b)
    modes = laplace.online_modes(TASKS, gamma, gamma)
    assert np.all(modes[-1] == joint)
    for k in range(1, 5):
        assert np.all(modes[k - 1] == laplace.decayed_joint(TASKS[:k], gamma))
    assert not np.all(laplace.online_modes(TASKS, gamma, 1)[-1] == joint)
    assert not np.all(laplace.online_modes(TASKS, gamma, 1)[-1] == JOINT[3])
    assert np.all(laplace.online_modes(TASKS, 1, 1)[-1] == JOINT[3])


def test_the_optimum_after_the_third_task_of_an_accumulation_that_decays_is_stationary():
    gamma, lam = Fraction(2, 3), Fraction(5, 4)
    _, second, third = laplace.online_modes([A, B, C], gamma, lam)
    assert np.all(B.grad(second) + lam * A.H @ (second - A.c) == 0)
    assert np.all(C.grad(third) + lam * (gamma * A.H + B.H) @ (third - second) == 0)


def test_a_diagonal_fisher_misses_by_what_stands_off_the_diagonal():
    diagonal = laplace.diagonal(A.H)
    assert np.all(diagonal == a([[10, 0], [0, 6]]))
    error = laplace.ewc_optimum(B, A.c, diagonal, LAM) - laplace.ewc_optimum(B, A.c, A.H, LAM)
    assert not np.all(error == 0)
    assert np.all(laplace.diagonal_error(B, A.c, A.H, LAM) == error)
    assert np.all(laplace.diagonal_error(B, A.c, diagonal, LAM) == 0)


@pytest.mark.parametrize("steps", range(4))
def test_an_anchor_that_follows_the_parameters_is_the_proximal_point_method(steps):
    theta = A.c
    for _ in range(steps):
        theta = laplace.ewc_optimum(B, theta, A.H, LAM)
    assert np.all(laplace.moving_anchor(B, A.c, A.H, LAM, steps) == theta)


def test_an_anchor_that_follows_the_parameters_forgets_the_old_task_in_the_limit():
    losses = [B(laplace.moving_anchor(B, A.c, A.H, LAM, steps)) for steps in (0, 5, 40)]
    assert losses[0] > losses[1] > losses[2] > 0
    assert losses[2] < losses[0] / 2**40


def test_an_anchor_that_follows_the_parameters_stays_where_the_new_task_is_flat():
    flat = QuadraticTask(a([[1, 0], [0, 0]]), B.c)
    assert np.all(laplace.moving_anchor(flat, A.c, identity, LAM, 20)[1] == A.c[1])
    assert abs(laplace.moving_anchor(flat, A.c, identity, LAM, 20) - B.c)[0] < Fraction(1, 2**20)


def test_a_task_with_a_negative_factor_can_make_the_stationary_point_a_saddle():
    theta = minimiser(A, B.times(-1))
    assert np.all(A.grad(theta) == B.grad(theta))
    values = [(A(theta + e) - B(theta + e)) - (A(theta) - B(theta)) for e in unit]
    assert values[0] * values[1] < 0


def test_on_balls_the_optima_enclose_the_rational_ones():
    with exact.precision(256):
        ball_tasks = [QuadraticTask(exact.balls(t.H), exact.balls(t.c)) for t in TASKS]
        found = laplace.recentred_modes(ball_tasks)[-1]
        low, high = exact.bounds(found)
    rational = exact.to_fractions(JOINT[3])
    assert all(b <= x <= t and t - b < Fraction(1, 2**200) for b, x, t in zip(low, rational, high, strict=True))
