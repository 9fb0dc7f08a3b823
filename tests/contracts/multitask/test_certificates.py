"""The gap of a direction, for which no weights are known, and the promises that it keeps."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.frank_wolfe import frank_wolfe

from refgrad import contracts, exact
from refgrad.conformance.judging.certificate import Setting, breaks, check_options, falls, keeps, relative
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts import multitask
from refgrad.contracts.contract import Problem
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.errors import UsageError

WEIGHTS, DIRECTION = contracts.get("min_norm"), contracts.get("mgda_direction")


def test_the_gap_of_a_combination_of_the_rows_is_the_gap_of_its_weights():
    for inputs in draws(task_gradients("crisp"), 30):
        J = exact.asarray(inputs["J"])
        a = exact.asarray(range(1, len(J) + 1)) / (len(J) * (len(J) + 1) // 2)
        d = J.T @ a
        assert DIRECTION.certify((J,), d) == multitask.gap(J, a)
        assert DIRECTION.certify((J,), d) >= ((d - multitask.direction(J).value) ** 2).sum()


def test_the_gap_of_a_direction_is_zero_at_the_optimum_and_nowhere_else():
    for inputs in draws(task_gradients("crisp"), 30):
        J = exact.asarray(inputs["J"])
        d = multitask.direction(J).value
        assert DIRECTION.certify((J,), d) == 0
        for other in (2 * d + 1, 0 * d, -d, d / 2):
            assert (DIRECTION.certify((J,), other) > 0) == bool(np.any(other != d))


def test_what_lies_outside_the_hull_counts_by_its_distance():
    J = exact.asarray([[3, 0], [0, 4]])
    assert DIRECTION.certify((J,), 0 * J[0]) == Fraction(48 + 36, 25) * 4  # the optimum itself is the nearest
    # the nearest is (63, 16) / 25, with the rates 189 / 25 and 64 / 25 and the square 169 / 25
    assert DIRECTION.certify((J,), exact.asarray([3, 1])) == Fraction(169 - 64, 25) + Fraction(12 + 9, 25) * 4
    assert DIRECTION.certify((0 * J,), exact.asarray([3, -1])) == 3 + 1


def test_frank_wolfe_leaves_a_gap_that_falls_whether_it_returns_weights_or_directions():
    problems = [Problem("wide", inputs) for inputs in DIRECTION.wide.inputs(1)]
    referee, of_weights = Referee(DIRECTION), Referee(WEIGHTS)
    settings = []
    for steps in (10, 100, 1000):
        gaps = []
        for problem in problems:
            J = np.array(problem.inputs["J"])
            a = frank_wolfe(J, steps)
            d = a @ J
            judged = referee.judge(problem, d)
            if judged.verdict == "passed":
                continue
            gap = relative(referee, problem, judged.high, d)
            weights_gap = relative(of_weights, problem, of_weights.judge(problem, a).high)
            assert gap == pytest.approx(weights_gap, rel=1e-6, abs=1e-13)
            assert gap <= relative(referee, problem, judged.high)  # what the distance alone allows
            gaps.append(gap)
        settings.append(Setting.of(steps, gaps))
    assert falls(settings)
    assert settings[-1].worst < settings[0].worst / 10
    assert breaks(referee, problem, judged.high, {"gap": 1e-30}, d) == (judged.high > 0)


@pytest.mark.parametrize("contract", [WEIGHTS, DIRECTION], ids=lambda c: c.name)
def test_a_certificate_is_finite_where_all_gradients_are_zero_and_infinite_beyond_the_floats(contract):
    referee, problem = Referee(contract), Problem("degenerate", {"J": [[0.0], [0.0]]})
    size = contract.shape(problem.inputs)
    wrong = np.full(size, 3.0)
    judged = referee.judge(problem, wrong)
    assert 0 < relative(referee, problem, judged.high, wrong) < math.inf
    problem = Problem("crisp", {"J": [[1.0], [2.0]]})
    huge = np.full(size, 1e300)
    judged = referee.judge(problem, huge)
    assert relative(referee, problem, judged.high**3, huge if contract is DIRECTION else None) > 1e299
    assert relative(Referee(WEIGHTS), problem, Fraction(10) ** 400) == math.inf


def test_a_promise_is_about_the_gap_for_directions_too():
    check_options(DIRECTION, {"max_iters": [1, 2, 3]}, {"gap": 1e-3})
    with pytest.raises(UsageError, match="promise about gap"):
        check_options(DIRECTION, None, {"distance": 1e-3})


def test_the_promise_that_would_be_kept_is_no_smaller_than_the_certificate():
    for worst in (1.84e-9, 1e-3, 9.99e-5, 0.0731, 1.5e-13, 2.0):
        assert worst <= float(keeps(worst)) <= 1.11 * worst
