"""Directions and fixed points on quadratic tasks: against the recursions, against unrolled series, and one another."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from helpers.jets import coefficient, line
from hypothesis import given, settings
from hypothesis import strategies as st

from refgrad import exact
from refgrad.contracts import meta
from refgrad.contracts.meta.imaml import proximal_point
from refgrad.contracts.meta.problems import rational_tasks
from refgrad.contracts.meta.quadratic_form import QuadraticForm
from refgrad.contracts.tools.assemble import identity
from refgrad.errors import SingularMatrix
from refgrad.theory.meta.closed_forms import (
    WEIGHTS,
    adaptation,
    expected_direction,
    fomaml_weight,
    imaml_weight,
    joint_weight,
    maml_objective,
    maml_rate_gradient,
    maml_weight,
    outer_fixed_point,
    reptile_weight,
)

FORM = QuadraticForm()
numbers = st.integers(-2, 2)
steps_of_inner_loop = st.integers(0, 3)


def same(a, b):
    return bool(np.all(a == b))


def twice(tasks):
    """Tasks whose support set is their query set."""
    return [(task, task) for task in tasks]


@st.composite
def problems(draw, curved_up=False):
    """theta, two or three tasks of order two, and lr. With `curved_up`, ``0 < lr lambda < 1`` for every eigenvalue."""
    tasks = []
    for _ in range(draw(st.integers(2, 3))):
        a, b, d = (draw(numbers) for _ in range(3))
        A = exact.asarray([[a, b], [b, d]])
        # the trace of I + A^2 is at most 2 + 16, and bounds its eigenvalues
        tasks.append((A @ A + identity(A) if curved_up else A, exact.asarray([draw(numbers), draw(numbers)])))
    lr = exact.asarray(Fraction(1, 20) if curved_up else draw(st.sampled_from([Fraction(1, 5), Fraction(1, 2)])))
    return exact.asarray([draw(numbers), Fraction(1, 2)]), tasks, lr


@settings(max_examples=25, deadline=None)
@given(problems(), steps_of_inner_loop)
def test_directions_equal_the_recursions_on_the_quadratic_form(problem, steps):
    theta, tasks, lr = problem
    maml = meta.maml_gradient(FORM, theta, twice(tasks), lr, steps).value
    fomaml = meta.fomaml_gradient(FORM, theta, twice(tasks), lr, steps).value
    reptile = meta.reptile_update(FORM, theta, [[task] * steps for task in tasks], lr, exact.asarray(1)).value
    joint = sum(FORM.grad(theta, task) for task in tasks) / len(tasks)
    assert same(expected_direction(maml_weight, theta, tasks, lr, steps), maml)
    assert same(expected_direction(fomaml_weight, theta, tasks, lr, steps), fomaml)
    assert same(expected_direction(reptile_weight, theta, tasks, lr, steps), theta - reptile)
    assert same(expected_direction(joint_weight, theta, tasks), joint)


def implicit(theta, tasks, lam):
    """The implicit gradient where support and query sets agree."""
    adapted = [proximal_point(theta, task, lam) for task in tasks]
    return meta.imaml_gradient(FORM, theta, adapted, twice(tasks), lam).value


@settings(max_examples=25, deadline=None)
@given(problems(curved_up=True), st.sampled_from([Fraction(2), Fraction(1, 3)]))
def test_the_direction_of_imaml_is_its_gradient_where_support_and_query_agree(problem, lam):
    theta, tasks, _ = problem
    lam = exact.asarray(lam)
    assert same(expected_direction(imaml_weight, theta, tasks, lam), implicit(theta, tasks, lam))


@settings(max_examples=25, deadline=None)
@given(rational_tasks())
def test_on_tasks_in_thirds_and_fifths_the_closed_forms_are_the_recursions_too(inputs):
    theta, lr, lam = (exact.asarray(inputs[name]) for name in ("theta", "lr", "lam"))
    tasks, steps = [(exact.asarray(t["A"]), exact.asarray(t["c"])) for t in inputs["tasks"]], inputs["steps"]
    maml = meta.maml_gradient(FORM, theta, twice(tasks), lr, steps).value
    assert same(expected_direction(maml_weight, theta, tasks, lr, steps), maml)
    assert same(expected_direction(fomaml_weight, theta, tasks, lr, 2 * steps), maml)
    reptile = meta.reptile_update(FORM, theta, [[task] * steps for task in tasks], lr, exact.asarray(1)).value
    assert same(expected_direction(reptile_weight, theta, tasks, lr, steps), theta - reptile)
    assert same(expected_direction(imaml_weight, theta, tasks, lam), implicit(theta, tasks, lam))
    # every A is positive definite and lr A is below 1: all weights are positive definite
    for name, parameters in (("joint", ()), ("maml", (lr, steps)), ("reptile", (lr, steps)), ("imaml", (lam,))):
        star = outer_fixed_point(WEIGHTS[name], tasks, *parameters)
        assert same(expected_direction(WEIGHTS[name], star, tasks, *parameters), 0)


def descended(theta, task, lr, steps):
    for _ in range(steps):
        theta = theta - lr * FORM.grad(theta, task)
    return theta


@settings(max_examples=20, deadline=None)
@given(problems(), steps_of_inner_loop)
def test_the_objective_and_its_derivatives_are_those_of_the_unrolled_series(problem, steps):
    theta, tasks, lr = problem
    assert all(same(adaptation(theta, task, lr, steps), descended(theta, task, lr, steps)) for task in tasks)
    v = exact.asarray([1, -3])
    held = [tuple(line(x, 0 * x) for x in task) for task in tasks]

    def series(theta, lr):
        return sum(FORM(descended(theta, task, lr, steps), task) for task in held)

    along_theta = series(line(theta, v), line(lr, 0 * lr))
    along_lr = series(line(theta, 0 * theta), line(lr, 0 * lr + 1))
    count = len(tasks)
    assert maml_objective(theta, tasks, lr, steps) == exact.asarray(coefficient(along_lr, 0)) / count
    direction = expected_direction(maml_weight, theta, tasks, lr, steps)
    assert direction @ v == exact.asarray(coefficient(along_theta, 1)) / count
    assert maml_rate_gradient(theta, tasks, lr, steps) == exact.asarray(coefficient(along_lr, 1)) / count


@settings(max_examples=15, deadline=None)
@given(problems(curved_up=True), st.integers(1, 3))
def test_an_outer_step_from_the_fixed_point_stays_there(problem, steps):
    _, tasks, lr = problem
    lam = exact.asarray("3/2")
    joint = outer_fixed_point(joint_weight, tasks)
    assert same(sum(FORM.grad(joint, task) for task in tasks), 0)
    maml, fomaml, reptile = (outer_fixed_point(WEIGHTS[m], tasks, lr, steps) for m in ("maml", "fomaml", "reptile"))
    assert same(meta.maml_gradient(FORM, maml, twice(tasks), lr, steps).value, 0)
    assert same(meta.fomaml_gradient(FORM, fomaml, twice(tasks), lr, steps).value, 0)
    batches = [[task] * steps for task in tasks]
    assert same(meta.reptile_update(FORM, reptile, batches, lr, exact.asarray("1/3")).value, reptile)
    imaml = outer_fixed_point(imaml_weight, tasks, lam)
    assert same(implicit(imaml, tasks, lam), 0)


# Three scalar tasks a/2 (theta - c)^2, a = (1/2, 2, 4), c = (0, 3, 10), with lr = 1/5 and lam = 2.
SCALAR = [
    (exact.asarray([[a]]), exact.asarray([c])) for a, c in ((Fraction(1, 2), 0), (Fraction(2), 3), (Fraction(4), 10))
]
FIFTH = exact.asarray("1/5")


@pytest.mark.parametrize(
    ("method", "parameters", "expected"),
    [
        ("joint", (), "92/13"),
        ("imaml", (2,), "2675/569"),
        ("maml", (FIFTH, 1), "752/257"),
        ("maml", (FIFTH, 2), "16832/11873"),
        ("maml", (FIFTH, 3), "564992/718577"),
        ("fomaml", (FIFTH, 1), "232/49"),
        ("fomaml", (FIFTH, 2), "752/257"),
        ("fomaml", (FIFTH, 3), "3232/1657"),
        ("reptile", (FIFTH, 1), "92/13"),
        ("reptile", (FIFTH, 2), "1152/179"),
        ("reptile", (FIFTH, 3), "12272/2047"),
    ],
)
def test_the_scalar_tasks_have_their_known_fixed_points(method, parameters, expected):
    assert outer_fixed_point(WEIGHTS[method], SCALAR, *parameters)[0] == Fraction(expected)


@settings(max_examples=20, deadline=None)
@given(problems(), st.integers(0, 3))
def test_weights_of_one_method_are_weights_of_another(problem, steps):
    _, tasks, lr = problem
    for A, _ in tasks:
        assert same(maml_weight(A, lr, 0), joint_weight(A))
        assert same(fomaml_weight(A, lr, 0), joint_weight(A))
        assert same(reptile_weight(A, lr, 0), 0 * A)
        assert same(reptile_weight(A, lr, 1), lr * joint_weight(A))
        assert same(fomaml_weight(A, lr, 2 * steps), maml_weight(A, lr, steps))
        assert same(reptile_weight(A, lr, steps), lr * sum(fomaml_weight(A, lr, i) for i in range(steps)) + 0 * A)


def test_reptile_with_many_steps_goes_to_the_mean_of_the_centres():
    centres = [c for _, c in SCALAR]
    average = sum(centres) / 3
    spread = sum(abs(c - average)[0] for c in centres)
    rho = Fraction(9, 10)  # the largest |1 - a/5|
    distances = []
    for steps in (1, 5, 20, 80):
        # theta* - mean = -sum_t m_t^k (c_t - mean) / sum_t (1 - m_t^k)
        distances.append(abs(outer_fixed_point(reptile_weight, SCALAR, FIFTH, steps) - average)[0])
        assert 0 < distances[-1] <= rho**steps * spread / (3 * (1 - rho**steps))
    assert distances == sorted(distances, reverse=True)


def test_reptile_is_at_the_mean_of_the_centres_when_one_step_solves_every_task():
    A = exact.asarray([[5, 0], [0, 5]])
    tasks = [(A, exact.asarray(c)) for c in ([1, 2], [4, 0], [-2, 5])]
    for steps in (1, 2, 3):
        assert same(outer_fixed_point(reptile_weight, tasks, FIFTH, steps), sum(c for _, c in tasks) / 3)


def test_a_task_that_one_step_solves_has_no_weight_in_maml():
    flat, solved = SCALAR[0], exact.asarray([[5]])
    for steps in (1, 2, 3):
        for centre in (-7, 40):
            tasks = [flat, (solved, exact.asarray([centre]))]
            assert same(outer_fixed_point(maml_weight, tasks, FIFTH, steps), flat[1])
            assert not same(outer_fixed_point(reptile_weight, tasks, FIFTH, steps), flat[1])
        with pytest.raises(SingularMatrix):
            outer_fixed_point(maml_weight, [(solved, exact.asarray([3]))], FIFTH, steps)


@settings(max_examples=20, deadline=None)
@given(problems(curved_up=True), st.sampled_from([Fraction(1), Fraction(10), Fraction(1000)]))
def test_imaml_differs_from_one_step_of_maml_with_rate_one_over_lam_by_two_a_cubed_over_lam_squared(problem, lam):
    _, tasks, _ = problem
    s = exact.asarray(1 / lam)
    for A, _ in tasks:
        unit = identity(A)
        implicit = unit + s * A
        # with s = 1/lam: A (I + sA)^-2 - A (I - sA)^2 = s^2 A^3 (2 I - s^2 A^2) (I + sA)^-2
        difference = imaml_weight(A, exact.asarray(lam)) - maml_weight(A, s, 1)
        assert same(difference @ implicit @ implicit, s * s * (A @ A @ A @ (2 * unit - s * s * (A @ A))))


@settings(max_examples=20, deadline=None)
@given(problems(curved_up=True))
def test_the_weight_of_imaml_is_that_of_its_adapted_points(problem):
    theta, tasks, _ = problem
    lam = exact.asarray("5/2")
    for A, c in tasks:
        moved = proximal_point(proximal_point(theta, (A, c), lam), (A, c), lam)
        assert same(imaml_weight(A, lam) @ (theta - c), A @ (moved - c))


def outer_descent(weight, tasks, beta, theta, count, *parameters):
    path = [theta]
    for _ in range(count):
        path.append(path[-1] - beta * expected_direction(weight, path[-1], tasks, *parameters))
    return path


def test_fomaml_leaves_the_hull_of_the_centres_and_diverges_where_maml_does_neither():
    half = exact.asarray("1/2")
    tasks = [(exact.asarray([[a]]), exact.asarray([c])) for a, c in ((1, 0), (3, 1))]
    assert all(abs(1 - half * A[0, 0]) < 1 for A, _ in tasks)  # the inner loops converge
    assert [fomaml_weight(A, half, 1)[0, 0] for A, _ in tasks] == [Fraction(1, 2), Fraction(-3, 2)]
    assert outer_fixed_point(fomaml_weight, tasks, half, 1)[0] == Fraction(3, 2)
    assert outer_fixed_point(maml_weight, tasks, half, 1)[0] == Fraction(3, 4)
    for weight, towards in ((maml_weight, True), (fomaml_weight, False)):
        star = outer_fixed_point(weight, tasks, half, 1)
        distances = [abs(x - star)[0] for x in outer_descent(weight, tasks, half, star + 1, 4, half, 1)]
        assert all((later < earlier) == towards for earlier, later in pairwise(distances))
        assert all(later != earlier for earlier, later in pairwise(distances))


def test_outer_descent_on_maml_is_stable_up_to_two_over_the_mean_weight():
    star = outer_fixed_point(maml_weight, SCALAR, FIFTH, 1)
    limit = 2 / (sum(maml_weight(A, FIFTH, 1)[0, 0] for A, _ in SCALAR) / 3)
    at, below, above = (
        abs(outer_descent(maml_weight, SCALAR, limit * scale, star + 1, 1, FIFTH, 1)[-1] - star)[0]
        for scale in (1, Fraction(9, 10), Fraction(11, 10))
    )
    assert below < at == 1 < above


def test_the_closed_forms_on_balls_enclose_those_on_rationals():
    with exact.precision(256):
        tasks = [(exact.balls(A), exact.balls(c)) for A, c in SCALAR]
        lr, lam = exact.balls(FIFTH), exact.balls(exact.asarray(2))
        for method in WEIGHTS:
            parameters = {"joint": (), "imaml": (lam,)}.get(method, (lr, 2))
            rational = {"joint": (), "imaml": (exact.asarray(2),)}.get(method, (FIFTH, 2))
            found = outer_fixed_point(WEIGHTS[method], tasks, *parameters)
            low, high = exact.bounds(found)
            truth = exact.to_fractions(outer_fixed_point(WEIGHTS[method], SCALAR, *rational))
            assert low[0] <= truth[0] <= high[0]
            assert high[0] - low[0] < Fraction(1, 2**200)
