"""Variants of Reptile, of implicit MAML and of the gradient of the rates, each written out again on matrices."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from helpers.jets import coefficient, line

from refgrad import exact
from refgrad.contracts import get, meta
from refgrad.contracts.meta import (
    IMAML_VARIANTS,
    RATE_VARIANTS,
    REPTILE_VARIANTS,
    QuadraticForm,
    imaml_gradient,
    rate_gradients,
)
from refgrad.contracts.tools import EXACT_TABLE, NotApplicable, Quartic

FORM = QuadraticForm()
REPTILE, IMAML, RATE = (
    {v.name: v.answer for v in table} for table in (REPTILE_VARIANTS, IMAML_VARIANTS, RATE_VARIANTS)
)
a = exact.asarray


def quadratics(*pairs):
    """Pairs (A, c) as Fractions."""
    return [tuple(np.array(exact.to_fractions(a(part)), object) for part in pair) for pair in pairs]


A = quadratics(
    ([[2, 1], [1, 1]], [1, 0]),
    ([[1, 0], [0, 3]], ["1/3", -2]),
    ([["3/2", -1], [-1, 2]], [0, "5/2"]),
    ([[1, "1/2"], ["1/2", 2]], [-3, 1]),
    ([[3, 1], [1, "4/3"]], [2, "1/7"]),
    ([["5/4", 0], [0, "1/2"]], [-1, -1]),
)
THETA, LR, EPSILON = np.array([Fraction(2), Fraction(-1, 3)], object), Fraction(1, 5), Fraction(3, 7)
EYE = np.array([[1, 0], [0, 1]], object) + Fraction(0)


def mean(terms):
    return sum(terms) / len(terms)


def solved(M, b):
    """By Cramer's rule."""
    det = M[0, 0] * M[1, 1] - M[0, 1] * M[1, 0]
    return np.array([M[1, 1] * b[0] - M[0, 1] * b[1], M[0, 0] * b[1] - M[1, 0] * b[0]], object) / det


def lifted(x):
    """Fractions, in lists and tuples, as exact arrays."""
    return type(x)(map(lifted, x)) if isinstance(x, (list, tuple)) else a(x)


def check(table, formulas, truth, call):
    """Every variant has its formula and a magnitude no smaller; any two, or one and the truth, a hundredth apart."""
    assert set(formulas) == set(table)
    values = {"the quantity": exact.to_fractions(truth(*call).value)}
    for name, answer in table.items():
        found = answer(*call)
        values[name] = exact.to_fractions(found.value)
        assert np.all(values[name] == formulas[name]), name
        assert found.magnitude.shape == found.value.shape
        assert np.all(abs(found.value) <= found.magnitude * (1 + Fraction(1, 2**30))), name  # made of float64
    for first, second in combinations(values, 2):
        assert 100 * max(abs(values[first] - values[second])) > max(abs(values["the quantity"])), (first, second)


# Reptile: three tasks of one, two and three batches


TASKS = [[A[0]], [A[1], A[2]], [A[3], A[4], A[5]]]


def affine(batches):
    """``theta_t = P theta + r`` for one inner step on each batch."""
    P, r = EYE, 0 * THETA
    for H, c in batches:
        step = EYE - LR * H
        P, r = step @ P, step @ r + LR * H @ c
    return P, r


def adaptation(batches, theta=THETA):
    P, r = affine(batches)
    return P @ theta + r


def all_in_one(batches):
    """``(1 - epsilon) theta + epsilon theta_t``, an affine map too."""
    P, r = affine(batches)
    return (1 - EPSILON) * EYE + EPSILON * P, EPSILON * r


def in_turn():
    theta = THETA
    for batches in TASKS:
        P, r = all_in_one(batches)
        theta = P @ theta + r
    return theta


def last_gradient(batches):
    H, c = batches[-1]
    return H @ (adaptation(batches[:-1]) - c)


def last_step(batches):
    return THETA - LR * last_gradient(batches)


def at_start(batches):
    return THETA - LR * sum(H @ (THETA - c) for H, c in batches)


def in_place():
    """The moves from the first theta, each task adapted from where the one before ended."""
    now, moves = THETA, []
    for batches in TASKS:
        now = adaptation(batches, now)
        moves.append(now - THETA)
    return moves


def updated(change, batches_of=lambda batches: batches):
    """The update with the batches or the adaptation changed."""
    return THETA + EPSILON * (mean([change(batches_of(batches)) for batches in TASKS]) - THETA)


def summed(batches):
    """With every loss summed over as many examples as the form has coordinates."""
    return adaptation([(2 * H, c) for H, c in batches])


ADAPTED = [adaptation(batches) for batches in TASKS]
MEAN = mean(ADAPTED)
REPTILE_FORMULAS = {
    "outer-gradient": THETA - MEAN,
    "sign-flipped": (1 + EPSILON) * THETA - EPSILON * MEAN,
    "divided-by-lr": THETA + EPSILON * 5 * (MEAN - THETA),
    "multiplied-by-lr": THETA + EPSILON / 5 * (MEAN - THETA),
    "epsilon-missing": MEAN,
    "epsilon-squared": THETA + EPSILON**2 * (MEAN - THETA),
    "interpolation-reversed": MEAN + EPSILON * (THETA - MEAN),
    "sum-over-tasks": (1 - 3 * EPSILON) * THETA + 3 * EPSILON * MEAN,
    "first-task-only": THETA + EPSILON * (ADAPTED[0] - THETA),
    "last-task-only": THETA + EPSILON * (ADAPTED[2] - THETA),
    "last-task-divided": THETA + EPSILON / 3 * (ADAPTED[2] - THETA),
    "weighted-by-batches": THETA + EPSILON * sum(n * (p - THETA) for n, p in enumerate(ADAPTED, 1)) / 6,
    "one-after-another-from-one-start": (1 - EPSILON) ** 3 * THETA
    + sum(EPSILON * (1 - EPSILON) ** (2 - t) * adaptation(batches) for t, batches in enumerate(TASKS)),
    "serial": in_turn(),
    "task-leakage": THETA + EPSILON * mean(in_place()),
    "last-batch-only": updated(last_step),
    "gradients-at-start": updated(at_start),
    "last-batch-missing": updated(adaptation, lambda batches: batches[:-1]),
    "first-batch-only": updated(adaptation, lambda batches: batches[:1]),
    "first-batch-repeated": updated(adaptation, lambda batches: batches[:1] * len(batches)),
    "batches-reversed": updated(adaptation, lambda batches: batches[::-1]),
    "inner-loss-summed": updated(summed),
}


def reptile_call(tasks=TASKS):
    return FORM, a(THETA), lifted(tasks), a(LR), a(EPSILON)


def test_reptile_variants_are_affine_maps_of_theta_written_out():
    assert np.all(meta.reptile_update(*reptile_call()).value == THETA + EPSILON * (MEAN - THETA))
    check(REPTILE, REPTILE_FORMULAS, meta.reptile_update, reptile_call())


def test_the_last_batch_alone_is_first_order_maml_with_that_batch_as_query():
    tasks = [([A[0], A[0]], A[1]), ([A[2], A[2]], A[3])]
    batches = [[*support, query] for support, query in tasks]
    fomaml = meta.fomaml_gradient(FORM, a(THETA), lifted([(s[0], q) for s, q in tasks]), a(LR), 2).value
    assert np.all(REPTILE["last-batch-only"](*reptile_call(batches)).value == a(THETA) - EPSILON * LR * fomaml)


def test_with_one_task_the_serial_the_batched_and_the_consecutive_update_are_one():
    call = reptile_call(TASKS[2:])
    truth = meta.reptile_update(*call).value
    for name in ("serial", "one-after-another-from-one-start", "sum-over-tasks", "task-leakage"):
        assert np.all(REPTILE[name](*call).value == truth)


def test_an_update_is_an_outer_step_along_the_gradient_that_may_be_declared():
    declared = get("reptile_update").declared(output="gradient")
    gradient = declared.quantity(*reptile_call()).value
    assert np.all(a(THETA) - EPSILON * gradient == meta.reptile_update(*reptile_call()).value)
    names = {v.name: v for v in declared.variants}
    assert "outer-gradient" not in names
    assert names["updated-parameters"].declare == "--param output=parameters"
    assert np.all(
        names["updated-parameters"].answer(*reptile_call()).value == meta.reptile_update(*reptile_call()).value
    )


# implicit MAML: three tasks


LAM = Fraction(3, 4)
PAIRS = [(A[0], A[1]), (A[2], A[4]), (A[3], A[5])]


def proximal(support, lam):
    H, c = support
    return solved(H + lam * EYE, H @ c + lam * THETA)


def gradients(point):
    """The query gradients of the tasks at a point of each, with the supports' Hessians."""
    return [(S[0], Q[0] @ (point(S) - Q[1])) for S, Q in PAIRS]


def descended(support):
    """``phi <- (1 - lam/16) phi - A (phi - c)/16 + lam theta/16`` three times, from theta, by powers of a matrix."""
    M = EYE - (support[0] + LAM * EYE) / 16
    star = proximal(support, LAM)
    return star + M @ M @ M @ (THETA - star)


AT_STAR = gradients(lambda S: proximal(S, LAM))


def systems(matrix, at=AT_STAR):
    """The mean over tasks of the solutions of a system, its matrix a function of the Hessian."""
    return mean([solved(matrix(H), g) for H, g in at])


SOLUTIONS = [solved(EYE + H / LAM, g) for H, g in AT_STAR]
OWN = [S[0] @ (proximal(S, LAM) - S[1]) for S, _ in PAIRS]
IMAML_FORMULAS = {
    "first-order": mean([g for _, g in AT_STAR]),
    "scale-missing": systems(lambda H: H + LAM * EYE),
    "strength-missing-in-system": systems(lambda H: H + EYE),
    "strength-on-wrong-side": systems(lambda H: EYE + LAM * H),
    "penalty-without-half": systems(lambda H: EYE + H / (2 * LAM)),
    "sign-of-hessian": systems(lambda H: EYE - H / LAM),
    "damping-left-in": systems(lambda H: Fraction(9, 8) * EYE + H / LAM),
    "strength-damped-by-ten": systems(lambda H: EYE + H / (10 + LAM)),
    "diagonal-hessian": mean([g / (1 + np.diag(H) / LAM) for H, g in AT_STAR]),
    "system-not-inverted": mean([g + H @ g / LAM for H, g in AT_STAR]),
    "cg-one-iteration": mean([LAM * (g @ g) / (LAM * (g @ g) + g @ H @ g) * g for H, g in AT_STAR]),
    "neumann-one-term": mean([g - H @ g / LAM for H, g in AT_STAR]),
    "neumann-two-terms": mean([g - H @ g / LAM + H @ H @ g / LAM**2 for H, g in AT_STAR]),
    "query-hessian": mean([solved(EYE + Q[0] / LAM, g) for (_, Q), (_, g) in zip(PAIRS, AT_STAR, strict=True)]),
    "support-loss-in-outer": mean([solved(EYE + S[0] / LAM, g) for (S, _), g in zip(PAIRS, OWN, strict=True)]),
    "query-gradient-at-start": systems(lambda H: EYE + H / LAM, gradients(lambda S: THETA)),
    "inner-not-solved": systems(lambda H: EYE + H / LAM, gradients(descended)),
    "outer-loss-summed": 2 * mean(SOLUTIONS),
    "sum-over-tasks": sum(SOLUTIONS),
    "first-task-only": SOLUTIONS[0],
    "last-task-only": SOLUTIONS[-1],
    "last-task-divided": SOLUTIONS[-1] / 3,
    "zero": 0 * THETA,
}
UNSEEN = {
    "cg-two-iterations", "cg-three-iterations", "hessian-at-start", "everything-at-start",
    "weighted-by-support-size", "weighted-by-query-size",
}  # fmt: skip
"""What two parameters, quadratics and equal sizes cannot show."""


def imaml_call(pairs=PAIRS, lam=LAM):
    return FORM, a(THETA), [a(proximal(S, LAM)) for S, _ in pairs], lifted(pairs), a(lam)


def test_implicit_variants_are_solutions_of_systems_written_out():
    seen = {name: answer for name, answer in IMAML.items() if name not in UNSEEN}
    assert len(seen) == len(IMAML) - len(UNSEEN)
    check(seen, IMAML_FORMULAS, imaml_gradient, imaml_call())


def test_conjugate_gradients_end_at_the_solution_when_there_is_an_iteration_for_each_parameter():
    for name in ("cg-two-iterations", "cg-three-iterations"):
        assert np.all(IMAML[name](*imaml_call()).value == imaml_gradient(*imaml_call()).value)


def test_the_second_iterate_of_conjugate_gradients_minimises_over_the_plane_of_the_first_two_krylov_vectors():
    """Its residual is orthogonal to g and to M g, and it lies in their span; two numbers for three parameters."""
    A3 = np.array([[2, 1, 0], [1, 3, 1], [0, 1, 5]], object) + Fraction(0)
    g = np.array([1, -2, 3], object) + Fraction(0)
    # the query gradient at 0 is g, and the support's Hessian A3
    task = (a(A3), a([0, 0, 0])), (a(np.eye(3, dtype=int).tolist()), a((-g).tolist()))
    x = exact.to_fractions(IMAML["cg-two-iterations"](FORM, a([0, 0, 0]), [a([0, 0, 0])], [task], a(1)).value)
    M = A3 + np.eye(3, dtype=int)
    residual = g - M @ x
    assert residual @ g == 0
    assert residual @ (M @ g) == 0
    assert np.linalg.matrix_rank(np.array([g, M @ g, x], float), tol=1e-12) == 2
    assert any(residual != 0)


def test_hessians_at_the_start_are_seen_on_losses_that_are_no_quadratics():
    a_, loss = a, Quartic(EXACT_TABLE)
    theta, phi, lam = a_([1, 0]), a_(["1/2", 1]), a_(4)
    support, query = (a_([[1, 2], [0, 1]]), a_([1, -1])), (a_([[1, -1]]), a_([2]))
    H = lambda point: np.array([exact.to_fractions(loss.hvp(point, support, a_(e))) for e in ([1, 0], [0, 1])], object)
    for name, at, of in (("hessian-at-start", theta, phi), ("everything-at-start", theta, theta)):
        g = np.array(exact.to_fractions(loss.grad(of, query)), object)
        expected = solved(EYE + H(at) / 4, g)
        assert np.all(IMAML[name](loss, theta, [phi], [(support, query)], lam).value == expected)


def test_one_iteration_is_not_defined_along_a_query_gradient_without_curvature_and_zero_without_one():
    theta, unit = a([1, 1]), a([[1, 0], [0, 1]])
    support = a([[-2, 0], [0, 0]]), theta  # phi* = theta, and I + A = diag(-1, 1)
    with pytest.raises(NotApplicable):
        IMAML["cg-one-iteration"](FORM, theta, [theta], [(support, (unit, 0 * theta))], a(1))
    assert np.all(IMAML["cg-one-iteration"](FORM, theta, [theta], [(support, (unit, theta))], a(1)).value == 0)


# the gradient of the rates: two tasks, three steps


RATES = [Fraction(1, 5), Fraction(1, 3), Fraction(1, 4)]
STEPS = [(A[:3], A[3]), ([A[4], A[5], A[0]], A[1])]


def along(batches, query):
    """The gradients g_i of the steps, and the adjoints ``v_i = J_i ... J_{k-1} grad Q(theta_k)`` by their products."""
    theta, found = THETA, []
    for rate, (H, c) in zip(RATES, batches, strict=True):
        found.append(H @ (theta - c))
        theta = theta - rate * found[-1]
    v = [query[0] @ (theta - query[1])]
    for rate, (H, _) in list(zip(RATES, batches, strict=True))[::-1]:
        v.insert(0, (EYE - rate * H) @ v[0])
    return found, v


ALONG = [along(*task) for task in STEPS]
RATE_FORMULAS = {
    "first-order": [-mean([v[3] @ g[i] for g, v in ALONG]) for i in range(3)],
    "adjoint-after-its-own-step": [-mean([v[i] @ g[i] for g, v in ALONG]) for i in range(3)],
    "sign-flipped": [mean([v[i + 1] @ g[i] for g, v in ALONG]) for i in range(3)],
}


def test_variants_of_the_rate_gradient_are_products_written_out():
    call = FORM, a(THETA), lifted(STEPS), a(RATES)
    check(RATE, RATE_FORMULAS, rate_gradients, call)
    assert np.all(rate_gradients(*call).value == -a(RATE_FORMULAS["sign-flipped"]))


def test_the_first_order_gradient_of_the_rates_is_that_of_the_last_step_taken_to_be_the_only_one_that_moves():
    """``d/d a_i Q(theta_k - (a_i - a_i0) g_i)`` at a_i0, from series: later steps do not see the change."""
    for i in range(3):
        total = 0
        for (batches, query), (g, _) in zip(STEPS, ALONG, strict=True):
            end = THETA - sum(rate * step for rate, step in zip(RATES, along(batches, query)[0], strict=True))
            total = total + FORM(line(a(end), -a(g[i])), tuple(line(a(x), 0 * a(x)) for x in query))
        assert a(coefficient(total, 1)) / 2 == RATE_FORMULAS["first-order"][i]


def test_magnitudes_of_rate_variants_are_products_of_those_of_both_vectors():
    # theta = (1, 1) halves to (1/2, 1/2), where the query gradient is (1/2 + 1/2, 1/2 - 3/2): the product with
    # g_0 = (1, 1) cancels; half of its own size is subtracted from it by its own step
    unit = a([[1, 0], [0, 1]])
    task = [(unit, a([0, 0]))], (unit, a(["-1/2", "3/2"]))
    for name, terms in {"first-order": 3, "adjoint-after-its-own-step": 4, "sign-flipped": 3}.items():
        answer = RATE[name](FORM, a([1, 1]), [task], a(["1/2"]))
        assert np.all(answer.value == 0)
        assert np.all(answer.magnitude == terms)


@pytest.mark.parametrize("table", [REPTILE_VARIANTS, IMAML_VARIANTS, RATE_VARIANTS])
def test_names_are_distinct_and_in_lower_case_with_hyphens(table):
    assert len({v.name for v in table}) == len(table)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", v.name) for v in table)
    assert all(v.formula and v.meaning for v in table)
