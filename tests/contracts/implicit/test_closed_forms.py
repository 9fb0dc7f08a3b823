"""Bilevel problems at hand-checked points, and identities that their hypergradients satisfy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import implicit
from refgrad.contracts.implicit.auxiliary import AuxiliaryTasks
from refgrad.contracts.implicit.bilevel import QuadraticBilevel
from refgrad.contracts.implicit.intercepts import LogisticIntercept, PoissonIntercept
from refgrad.contracts.implicit.manufactured import Manufactured, QuadraticMap
from refgrad.contracts.implicit.ridge import Ridge
from refgrad.contracts.tools import EXACT_TABLE, Quartic, checked_solve
from refgrad.errors import NotRational, SingularMatrix

a = exact.asarray


def same(x, y):
    return bool(np.all(x == y))


def test_the_probe_has_its_known_solution_hypergradient_and_second_derivative():
    problem, w, phi = implicit.probe()
    assert same(problem.solution(phi), w)
    assert same(problem.hypergradient(phi).value, a(["-4/5", "-4/5", "-6/5"]))
    known = [["1179/40", "19/8", "-52/5"], ["19/8", "11/40", "-4/5"], ["-52/5", "-4/5", "91/5"]]
    assert same(problem.second_derivative(phi), a(known))


def test_the_derivatives_of_the_probe_are_its_data():
    problem, w, phi = implicit.probe()
    found = problem.derivatives(w, phi)
    assert same(found.slope, 0)
    assert same(found.g, a([-1, -3, -1]))
    assert same(found.d, a([3, -2, 3]))
    assert same(found.B, -problem.C)
    assert same(found.Q, 3 * a([[1, 0, 0], [0, 1, 0], [0, 0, 1]]))


def test_at_a_saddle_of_the_inner_loss_the_hypergradient_is_that_of_the_stationary_point():
    zero, identity = a([[0, 0], [0, 0]]), a([[1, 0], [0, 1]])
    problem = QuadraticBilevel(a([[1, 0], [0, -1]]), identity, a([0, 0]), identity, a([0, 0]), zero, zero, a([0, 0]))
    # w = (phi_1, -phi_2), so that the outer loss is |phi|^2 / 2
    assert same(problem.hypergradient(a([3, 5])).value, a([3, 5]))


def test_an_inner_loss_without_one_solution_is_an_error():
    zero, identity = a([[0, 0], [0, 0]]), a([[1, 0], [0, 1]])
    problem = QuadraticBilevel(a([[1, 1], [1, 1]]), identity, a([0, 0]), identity, a([0, 0]), zero, zero, a([0, 0]))
    with pytest.raises(SingularMatrix):
        problem.hypergradient(a([3, 5]))


def test_phi_counts_once_directly_and_twice_through_the_solution():
    one, zero = a([[1]]), a([[0]])
    # inner (w - phi)^2 / 2, outer w^2 / 2 + w phi
    problem = QuadraticBilevel(one, one, zero[0], one, zero[0], one, zero, zero[0])
    phi = a([2])
    assert same(problem.derivatives(problem.solution(phi), phi).d, phi)
    assert same(problem.hypergradient(phi).value, 3 * phi)


def test_ridge_on_one_weight_has_its_hypergradient_by_the_quotient_rule():
    problem = Ridge(a([[1], [1], [1]]), a([4, 1, 0]), a([[1]]), a([2]), a([[1]]))
    phi = a([2])
    # w = 5 / (3 + phi), and the outer loss is (w - 2)^2 / 2
    assert same(problem.solution(phi), a([1]))
    assert problem.hypergradient(phi).value[0] == Fraction(1, 5) == (Fraction(5, 5) - 2) * Fraction(-5, 25)


def test_one_penalty_for_all_weights_has_the_sum_of_the_hypergradients_of_one_each():
    data = a([[1, 2], [0, 1], [3, -1]]), a([1, -2, 4]), a([[2, 1], [1, -1]]), a([3, 0])
    one = Ridge(*data, a([[1], [1]])).hypergradient(a(["3/2"])).value
    each = Ridge(*data, a([[1, 0], [0, 1]])).hypergradient(a(["3/2", "3/2"])).value
    assert one[0] == each[0] + each[1]
    assert one[0] != 0


def test_ridge_with_orthogonal_inputs_is_a_quotient_for_each_weight():
    problem = Ridge(a([[1, 1], [1, -1]]), a([5, 1]), a([[1, 0], [0, 1]]), a([1, "1/2"]), a([[1, 0], [0, 1]]))
    # w = (6 / (2 + phi_1), 4 / (2 + phi_2)) = (2, 1), outer |w - (1, 1/2)|^2 / 2
    assert same(problem.hypergradient(a([1, 2])).value, a([1 * Fraction(-6, 9), Fraction(1, 2) * Fraction(-4, 16)]))


draws = settings(max_examples=10, deadline=None)
integers = st.lists(st.integers(-3, 3), min_size=14, max_size=14)


def tasks(v, main=1):
    """Two auxiliary tasks of two weights; `main` 0 leaves the main task out."""
    L, M = a([[1, 0], [v[0], 1]]), a([[1, 0], [v[1], 1]])
    A = a(np.stack([exact.to_fractions(L @ L.T), exact.to_fractions(M @ a([[2, 0], [0, 1]]) @ M.T)]))
    A0, b0, b = a([[3, 1], [1, 1]]), a(v[2:4]), a([v[4:6], v[6:8]])
    return AuxiliaryTasks(main * A0, main * b0, A, b, a([[2, v[8]], [v[8], 5]]), a(v[9:11]))


@draws
@given(integers)
def test_scaling_all_weights_has_no_effect_without_a_main_task(v):
    phi = 1 + abs(a(v[11:13]))
    assert phi @ tasks(v, main=0).hypergradient(phi).value == 0


@draws
@given(integers)
def test_one_auxiliary_task_pulls_against_the_main_task_at_the_solution(v):
    both, phi = tasks(v), 1 + abs(a(v[11:12]))
    problem = AuxiliaryTasks(both.A0, both.b0, both.A[:1], both.b[:1], both.A_val, both.b_val)
    w = problem.solution(phi)
    u = checked_solve(both.A0 + phi[0] * both.A[0], both.A_val @ w - both.b_val)
    # the slopes of the main task and of phi times the other one add up to zero
    assert problem.hypergradient(phi).value[0] == (both.A0 @ w - both.b0) @ u / phi[0]


@draws
@given(integers)
def test_weights_of_tasks_have_the_derivative_of_cramers_rule(v):
    problem, phi = tasks(v), abs(a(v[11:13]))
    still = {name: line(x, 0 * x) for name, x in vars(problem).items()}
    for k in range(2):
        p = line(phi, a([int(k == 0), int(k == 1)]))
        H = still["A0"] + p[0] * still["A"][0] + p[1] * still["A"][1]
        c = still["b0"] + p[0] * still["b"][0] + p[1] * still["b"][1]
        det = H[0, 0] * H[1, 1] - H[0, 1] * H[1, 0]
        w = [(H[1, 1] * c[0] - H[0, 1] * c[1]) / det, (H[0, 0] * c[1] - H[1, 0] * c[0]) / det]
        A, b = still["A_val"], still["b_val"]
        F = sum(w[i] * A[i, j] * w[j] for i in range(2) for j in range(2)) / 2 - b[0] * w[0] - b[1] * w[1]
        assert problem.hypergradient(phi).value[k] == a(coefficient(F, 1))


EXAMPLES = a([[1, 2], [0, 1], ["1/2", -1], [3, 1]]), a([1, -1, 3, "2/3"])
OTHERS = a([[2, -1], [1, 1], [0, "1/3"]]), a([0, 4, 1])


def weighted_squares(w, phi, X, y):
    """``1/2 sum_i phi_i (x_i . w - y_i)^2``, by a loop."""
    residuals = [sum(X[i, j] * w[j] for j in range(X.shape[1])) - y[i] for i in range(len(y))]
    return sum(p * r * r for p, r in zip(phi, residuals, strict=True)) / 2


def test_auxiliary_tasks_of_least_squares_have_sums_of_squares_less_their_values_at_zero():
    (X, y), main = EXAMPLES, (a([[1, 0], [1, 1]]), a([2, "1/2"]))
    parts, phi, w = [(X[:1], y[:1]), (X[1:], y[1:])], a(["1/2", 3]), a([2, "-1/5"])
    problem = AuxiliaryTasks.of_least_squares(main, parts, OTHERS)

    def squares(w, data, weight=1):
        return weighted_squares(w, [weight] * len(data[1]), *data)

    def inner(w):
        return squares(w, main) + squares(w, parts[0], phi[0]) + squares(w, parts[1], phi[1])

    assert problem.inner(w, phi) == inner(w) - inner(0 * w)
    assert problem.outer(w, phi) == squares(w, OTHERS) - squares(0 * w, OTHERS)
    star = problem.solution(phi)
    assert all(inner(star + v) > inner(star) for v in (a([1, 0]), a([0, -1]), a([-1, 1])))


@pytest.mark.parametrize("phi", [[1, 1, 1, 1], ["1/2", 2, 0, "3/7"]])
def test_weights_of_examples_have_the_hypergradient_of_their_residuals(phi):
    (X, y), mu, phi = EXAMPLES, a("3/4"), a(phi)
    problem = AuxiliaryTasks.of_examples(X, y, mu, OTHERS)
    w = problem.solution(phi)
    H = X.T @ (phi[:, None] * X) + mu * a([[1, 0], [0, 1]])
    assert same(H @ w, X.T @ (phi * y))  # the normal equations of weighted ridge regression
    shift = weighted_squares(0 * w, phi, X, y)
    for v in (w, w + 1, a([2, -3])):
        assert problem.inner(v, phi) == weighted_squares(v, phi, X, y) + mu * (v @ v) / 2 - shift
    u = checked_solve(H, OTHERS[0].T @ (OTHERS[0] @ w - OTHERS[1]))
    assert same(problem.hypergradient(phi).value, a([-(X[i] @ w - y[i]) * (X[i] @ u) for i in range(4)]))


def test_examples_are_the_tasks_of_one_example_each_beside_a_main_task_that_is_a_penalty():
    (X, y), phi = EXAMPLES, a([1, 2, "1/3", 0])
    penalty = a([[2, 0], [0, 2]]), a([0, 0])  # 1/2 |2 w|^2 is 4/2 |w|^2
    each = [(X[i : i + 1], y[i : i + 1]) for i in range(4)]
    one, other = AuxiliaryTasks.of_least_squares(penalty, each, OTHERS), AuxiliaryTasks.of_examples(X, y, 4, OTHERS)
    for name, part in vars(one).items():
        assert same(part, vars(other)[name])
        assert part.shape == vars(other)[name].shape
    assert same(one.hypergradient(phi).value, other.hypergradient(phi).value)


@pytest.mark.parametrize("i", range(4))
def test_to_leave_an_example_out_moves_the_solution_by_its_residual_and_its_leverage(i):
    (X, y), mu, ones = EXAMPLES, a("3/4"), a([1, 1, 1, 1])
    problem = AuxiliaryTasks.of_examples(X, y, mu, OTHERS)
    w, H = problem.solution(ones), problem.hessian(ones)
    direction = checked_solve(H, X[i])
    residual, leverage = X[i] @ w - y[i], X[i] @ direction
    kept = [j for j in range(4) if j != i]
    without = checked_solve(X[kept].T @ X[kept] + mu * a([[1, 0], [0, 1]]), X[kept].T @ y[kept])
    assert same(problem.solution(ones - [int(j == i) for j in range(4)]), without)
    assert same(without - w, residual / (1 - leverage) * direction)
    assert not same(without - w, residual * direction)  # the derivative by -phi_i alone


def logistic():
    """3 and 5 examples to fit, 2 and 7 to judge by, and phi."""
    return LogisticIntercept(EXACT_TABLE, 3, 5, 2, 7), a([2, 1])


def test_the_logistic_intercept_has_a_rational_hypergradient():
    problem, phi = logistic()
    # p = 6 / 11 and m p - m_1 = 32 / 11
    assert same(problem.hypergradient(phi).value, a(["16/11", "-32/11"]))
    with pytest.raises(NotRational):
        problem.solution(phi)


@draws
@given(st.lists(st.integers(1, 9), min_size=6, max_size=6))
def test_the_logistic_hypergradient_is_the_derivative_by_the_odds_times_theirs(v):
    n1, n0, m1, m0 = v[:4]
    phi = a(v[4:])
    answer = LogisticIntercept(EXACT_TABLE, n1, n0, m1, m0).hypergradient(phi).value
    assert phi @ answer == 0  # the odds depend on the ratio of the weights alone
    for k in range(2):
        p = line(phi, a([int(k == 0), int(k == 1)]))
        odds, slope = (a(coefficient(p[0] * n1 / (p[1] * n0), i)) for i in (0, 1))
        # F = (m_1 + m_0) log(1 + odds) - m_1 log odds
        assert answer[k] == ((m1 + m0) / (1 + odds) - m1 / odds) * slope


def test_where_the_logistic_hypergradient_cancels_its_magnitude_does_not():
    answer = LogisticIntercept(EXACT_TABLE, 1, 1, 3, 3).hypergradient(a([2, 2]))
    assert same(answer.value, a([0, 0]))
    assert same(answer.magnitude, a([3, 3]))  # (m p + m_1) / phi


def test_the_magnitude_of_the_logistic_hypergradient_is_a_size_for_negative_counts_too():
    # m p = 6/2 and m_1 = -3, and the other way round
    for m1, m0 in ((-3, 9), (3, -9)):
        answer = LogisticIntercept(EXACT_TABLE, 1, 1, m1, m0).hypergradient(a([2, 2]))
        assert same(abs(answer.value), a([3, 3]))
        assert same(answer.magnitude, a([3, 3]))


def test_logistic_losses_are_sums_of_negative_logarithms_of_probabilities():
    problem, phi = logistic()
    with exact.precision(200):
        w, phi = exact.balls(["1/3"]), exact.balls(phi)
        log = EXACT_TABLE.log
        p = 1 / (1 + EXACT_TABLE.exp(-w[0]))
        inner = -phi[0] * 3 * log(p) - phi[1] * 5 * log(1 - p)
        for difference in (problem.inner(w, phi) - inner, problem.outer(w, phi) + 2 * log(p) + 7 * log(1 - p)):
            low, high = exact.bounds(difference)
            assert low <= 0 <= high
            assert high - low < Fraction(1, 2**150)


def test_the_poisson_intercept_has_powers_of_its_rate():
    one, two = (PoissonIntercept(EXACT_TABLE, 4, 2, power) for power in (1, 2))
    phi = a([3])
    assert same(one.hypergradient(phi).value, a(["1/4"]))
    assert same(one.second_derivative(phi), a([[0]]))
    assert same(two.hypergradient(phi).value, a(["5/8"]))
    assert same(two.second_derivative(phi), a([["1/8"]]))


@pytest.mark.parametrize("power", [1, 2, 3, 5])
def test_the_poisson_hypergradient_is_the_derivative_of_a_power_of_a_quotient(power):
    problem, phi = PoissonIntercept(EXACT_TABLE, 3, 2, power), a(["1/2"])
    rate = (2 + line(phi, a([1]))) / 3
    F = rate**power
    assert same(problem.hypergradient(phi).value, a(coefficient(F, 1)))
    assert same(problem.second_derivative(phi)[0], 2 * a(coefficient(F, 2)))


def test_a_manufactured_problem_has_the_hypergradient_of_the_outer_loss_of_its_map():
    psi = QuadraticMap(a([1, 0]), a([[0], [1]]), a([[[1]], [[0]]]))
    identity = a([[1, 0], [0, 1]])
    batch = a([[1, 2], [3, -1]]), a([1, 1])
    problem = Manufactured(Quartic(EXACT_TABLE), batch, psi, a(1), identity, a([0, 0]), a([[0], [1]]), a([[0]]), a([5]))
    # w = (1 + phi^2, phi): F = (1 + phi^2)^2 / 2 + phi^2 / 2 + phi^2 + 5 phi
    phi = a(["3/2"])
    assert same(problem.solution(phi), a(["13/4", "3/2"]))
    assert same(problem.inner_grad(problem.solution(phi), phi), 0)
    assert not same(problem.inner_grad(problem.solution(phi) + 1, phi), 0)
    assert same(problem.hypergradient(phi).value, 2 * phi * (1 + phi * phi) + 3 * phi + 5)
