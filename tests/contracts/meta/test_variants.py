"""Variants of Reptile, of implicit MAML and of the gradient of the rates, each written out again on matrices."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from helpers.jets import coefficient, line

from refgrad import exact
from refgrad.contracts import meta
from refgrad.contracts.meta import (
    IMAML_VARIANTS,
    RATE_VARIANTS,
    REPTILE_VARIANTS,
    QuadraticForm,
    imaml_gradient,
    rate_gradients,
)
from refgrad.contracts.tools import NotApplicable

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
THETA, LR, EPSILON = np.array([Fraction(2), Fraction(-1, 3)], object), Fraction(1, 5), Fraction(2, 7)
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
        assert np.all(abs(found.value) <= found.magnitude), name
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


MEAN = mean([adaptation(batches) for batches in TASKS])
REPTILE_FORMULAS = {
    "sign-flipped": (1 + EPSILON) * THETA - EPSILON * MEAN,
    "divided-by-lr": THETA + EPSILON * 5 * (MEAN - THETA),
    "multiplied-by-lr": THETA + EPSILON / 5 * (MEAN - THETA),
    "sum-over-tasks": (1 - 3 * EPSILON) * THETA + 3 * EPSILON * MEAN,
    "epsilon-missing": MEAN,
    "one-after-another-from-one-start": (1 - EPSILON) ** 3 * THETA
    + sum(EPSILON * (1 - EPSILON) ** (2 - t) * adaptation(batches) for t, batches in enumerate(TASKS)),
    "serial": in_turn(),
    "last-batch-only": THETA - EPSILON * LR * mean([last_gradient(batches) for batches in TASKS]),
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
    for name in ("serial", "one-after-another-from-one-start", "sum-over-tasks"):
        assert np.all(REPTILE[name](*call).value == truth)
    with pytest.raises(NotApplicable):
        REPTILE["last-batch-only"](*reptile_call([[]]))


def test_magnitudes_of_reptile_variants_count_theta_and_every_step():
    # theta = 2 and two tasks: to 0 in steps of 1 and 1/2, and to 4 in the same; the moves -3/2 and 3/2 cancel
    tasks = [[(a([[1]]), a([0]))] * 2, [(a([[1]]), a([4]))] * 2]
    call = FORM, a([2]), tasks, a("1/2"), a("1/2")
    terms = {
        "sign-flipped": 2 + Fraction(7, 4),  # a move has 2 + 1 + 1/2
        "divided-by-lr": 2 + Fraction(7, 2),
        "multiplied-by-lr": 2 + Fraction(7, 8),
        "sum-over-tasks": 2 + Fraction(7, 2),
        "epsilon-missing": 2 + Fraction(7, 2),
        # 2 + 1/2 (2 + 7/2 + 2) = 23/4, and 23/4 + 1/2 (2 + 7/2 + 23/4)
        "one-after-another-from-one-start": Fraction(91, 8),
        # 2 + 7/4 at 5/4, from where the steps are 11/8 and 11/16
        "serial": Fraction(15, 4) + Fraction(1, 2) * (Fraction(5, 4) + Fraction(33, 16)),
        "last-batch-only": 2 + Fraction(1, 4),
    }
    for name, expected in terms.items():
        assert REPTILE[name](*call).magnitude[0] == expected, name
        if name not in ("one-after-another-from-one-start", "serial"):
            assert REPTILE[name](*call).value[0] == 2


# implicit MAML: two tasks


LAM = Fraction(3, 4)
PAIRS = [(A[0], A[1]), (A[2], A[4])]


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
AT_TWICE = gradients(lambda S: proximal(S, 2 * LAM))
IMAML_FORMULAS = {
    "first-order": mean([g for _, g in AT_STAR]),
    "scale-missing": mean([solved(H + LAM * EYE, g) for H, g in AT_STAR]),
    "strength-missing-in-system": mean([solved(H + EYE, g) for H, g in AT_STAR]),
    "damping-left-in": mean([solved(8 * H + 9 * LAM * EYE, 8 * LAM * g) for H, g in AT_STAR]),
    "query-gradient-at-start": mean([solved(H + LAM * EYE, LAM * g) for H, g in gradients(lambda S: THETA)]),
    "penalty-without-half": mean([solved(H + 2 * LAM * EYE, 2 * LAM * g) for H, g in AT_TWICE]),
    "penalty-without-half-in-adaptation": mean([solved(H + LAM * EYE, LAM * g) for H, g in AT_TWICE]),
    "cg-one-iteration": mean([LAM * (g @ g) / (LAM * (g @ g) + g @ H @ g) * g for H, g in AT_STAR]),
    "inner-not-solved": mean([solved(H + LAM * EYE, LAM * g) for H, g in gradients(descended)]),
    "sum-over-tasks": sum(solved(H + LAM * EYE, LAM * g) for H, g in AT_STAR),
}


def test_implicit_variants_are_solutions_of_systems_written_out():
    check(IMAML, IMAML_FORMULAS, imaml_gradient, (a(THETA), lifted(PAIRS), a(LAM)))


def test_twice_the_penalty_is_implicit_maml_with_twice_the_strength():
    call = a(THETA), lifted(PAIRS)
    assert np.all(IMAML["penalty-without-half"](*call, a(LAM)).value == imaml_gradient(*call, a(2 * LAM)).value)


def test_magnitudes_of_implicit_variants_count_the_terms_of_the_query_gradient_and_of_the_system():
    # no support curvature: phi* = theta = (1, 1), and every system is a multiple of the identity
    unit, steep = a([[1, 0], [0, 1]]), a([[9, -8], [-8, 9]])
    flat = [((0 * unit, a([0, 0])), (steep, a([0, 0])))]
    for name, terms in {
        "first-order": 17,
        "cg-one-iteration": 17,
        "sum-over-tasks": 17,
        "inner-not-solved": 17,
    }.items():
        answer = IMAML[name](a([1, 1]), flat, a(1))
        assert np.all(answer.value == 1)
        assert np.all(answer.magnitude == terms)
    # g = (1, 1) = M x with M = [[2, 1], [1, 2]], x = (1/3, 1/3): terms of g, and of (M - I) x
    curved = [((unit + a([[0, 1], [1, 0]]), a([1, 1])), (steep, a([0, 0])))]
    answer = IMAML["query-gradient-at-start"](a([1, 1]), curved, a(1))
    assert np.all(answer.value == Fraction(1, 3))
    assert np.all(answer.magnitude == 17 + Fraction(2, 3))
    # twice the first task counts twice
    assert np.all(IMAML["sum-over-tasks"](a([1, 1]), flat * 2, a(1)).magnitude == 34)


def test_one_iteration_is_not_defined_along_a_query_gradient_without_curvature_and_zero_without_one():
    theta, unit = a([1, 1]), a([[1, 0], [0, 1]])
    support = a([[-2, 0], [0, 0]]), theta  # phi* = theta, and I + A = diag(-1, 1)
    with pytest.raises(NotApplicable):
        IMAML["cg-one-iteration"](theta, [(support, (unit, 0 * theta))], a(1))
    assert np.all(IMAML["cg-one-iteration"](theta, [(support, (unit, theta))], a(1)).value == 0)


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
    # theta = (1, 1) halves to (1/2, 1/2), where the query gradient is (1, -1): the product with g_0 = (1, 1) cancels
    unit = a([[1, 0], [0, 1]])
    task = [(unit, a([0, 0]))], (unit, a(["-1/2", "3/2"]))
    for name, terms in {"first-order": 2, "adjoint-after-its-own-step": 3, "sign-flipped": 2}.items():
        answer = RATE[name](FORM, a([1, 1]), [task], a(["1/2"]))
        assert np.all(answer.value == 0)
        assert np.all(answer.magnitude == terms)


@pytest.mark.parametrize("table", [REPTILE_VARIANTS, IMAML_VARIANTS, RATE_VARIANTS])
def test_names_are_distinct_and_in_lower_case_with_hyphens(table):
    assert len({v.name for v in table}) == len(table)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", v.name) for v in table)
    assert all(v.formula and v.meaning for v in table)
