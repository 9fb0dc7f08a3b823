"""What is reached in place of the optima of elastic weight consolidation, made stationary by hand."""

from __future__ import annotations

import re
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest

from refgrad import exact
from refgrad.theory.continual import ONLINE_VARIANTS, OPTIMUM_VARIANTS, QuadraticTask, decayed_joint, ewc_optimum

a = exact.asarray
TASKS = [
    QuadraticTask(a([[2, 1], [1, 3]]), a([1, "-1/2"])),
    QuadraticTask(a([[1, "1/3"], ["1/3", 4]]), a([5, -1])),
    QuadraticTask(a([[3, -1], [-1, 1]]), a([-2, "7/2"])),
]
OLD, NEW, _ = TASKS
LAM, GAMMA = Fraction(3, 4), Fraction(2, 3)

SLOPES = {
    "missing-half": lambda theta: 2 * LAM * OLD.H @ (theta - OLD.c),
    "diagonal": lambda theta: LAM * a([[2, 0], [0, 3]]) @ (theta - OLD.c),
    "centred-at-zero": lambda theta: LAM * OLD.H @ theta,
    "anchor-follows": lambda theta: 0 * theta,
}
"""The gradient of each penalty, which that of the new task balances."""


def values(table, truth, *arguments):
    found = {v.name: v.answer(*arguments).value for v in table} | {"the quantity": truth}
    for first, second in combinations(found, 2):
        assert np.any(100 * abs(found[first] - found[second]) > abs(truth).max()), (first, second)
    return found


def test_each_optimum_balances_the_new_task_with_its_own_penalty_and_with_no_other():
    found = values(OPTIMUM_VARIANTS, ewc_optimum(NEW, OLD.c, OLD.H, LAM), NEW, OLD.c, OLD.H, LAM)
    assert set(SLOPES) == set(found) - {"the quantity"}
    for name, slope in SLOPES.items():
        for other, theta in found.items():
            assert np.all(NEW.grad(theta) + slope(theta) == 0) == (name == other)


def weights(theta, centres, factors):
    """The slope of ``sum_k w_k |theta - m_k|^2`` in the norm of H_k, up to 2."""
    return sum(w * task.H @ (theta - m) for w, task, m in zip(factors, TASKS, centres, strict=False))


def cramer(H, b):
    det = H[0, 0] * H[1, 1] - H[0, 1] * H[1, 0]
    return a([exact.to_fractions(x / det) for x in (H[1, 1] * b[0] - H[0, 1] * b[1], H[0, 0] * b[1] - H[1, 0] * b[0])])


def second(factor):
    """The optimum after two tasks, with the first one's penalty times a factor."""
    return cramer(factor * OLD.H + NEW.H, factor * OLD.H @ OLD.c + NEW.H @ NEW.c)


def test_each_online_optimum_balances_the_last_task_with_penalties_on_those_before():
    found = values(ONLINE_VARIANTS, decayed_joint(TASKS, GAMMA), TASKS, GAMMA)
    third = TASKS[2]
    slopes = {
        # F* = gamma H_1 + H_2, centred at the second optimum, of weight 1
        "decay-in-accumulation-only": lambda x: weights(x, [second(1)] * 2, [GAMMA, 1]),
        "decay-in-penalty-only": lambda x: weights(x, [second(GAMMA)] * 2, [GAMMA, GAMMA]),
        "no-decay": lambda x: weights(x, [OLD.c, NEW.c], [1, 1]),
        "one-penalty-per-task": lambda x: weights(x, [OLD.c, second(1)], [1, 1]),
        "the quantity": lambda x: weights(x, [OLD.c, NEW.c], [GAMMA**2, GAMMA]),
    }
    assert set(slopes) == set(found)
    for name, slope in slopes.items():
        for other, theta in found.items():
            assert np.all(third.grad(theta) + slope(theta) == 0) == (name == other), (name, other)


def test_without_decay_the_three_ways_of_writing_it_are_one_and_for_one_task_all_are_its_optimum():
    joint = decayed_joint(TASKS, 1)
    for variant in ONLINE_VARIANTS:
        assert np.all(variant.answer(TASKS, 1).value == joint) == (variant.name != "one-penalty-per-task")
        assert np.all(variant.answer(TASKS[:1], GAMMA).value == OLD.c)


def test_the_magnitude_of_an_optimum_counts_its_centre_and_the_way_from_there():
    unit = a([[1, 0], [0, 1]])
    task, anchor = QuadraticTask(unit, a([-3, 5])), a([3, 1])
    found = {v.name: v.answer(task, anchor, unit, 1) for v in OPTIMUM_VARIANTS}
    # the centre (3, 1) and, from there, two thirds of the way ((-6, 4) / 3), none of it, all of it
    assert np.all(found["missing-half"].value == a([1, "7/3"]))
    assert np.all(found["missing-half"].magnitude == a([5, "7/3"]))
    assert np.all(found["diagonal"].value == a([0, 3]))
    assert np.all(found["diagonal"].magnitude == a([6, 3]))
    assert np.all(found["anchor-follows"].magnitude == a([9, 5]))
    online = ONLINE_VARIANTS[2].answer([QuadraticTask(unit, anchor), task], 1)
    assert np.all(online.value == a([0, 3]))
    assert np.all(online.magnitude == a([6, 3]))


@pytest.mark.parametrize("table", [OPTIMUM_VARIANTS, ONLINE_VARIANTS])
def test_names_are_distinct_and_in_lower_case_with_hyphens(table):
    assert len({v.name for v in table}) == len(table)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", v.name) for v in table)
    assert all(v.formula and v.meaning for v in table)
