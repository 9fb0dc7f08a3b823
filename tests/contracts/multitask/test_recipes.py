"""Deviations of min-norm weights and directions against formulas of their own, on exact problems and on floats."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from helpers.drawing import draws
from helpers.frank_wolfe import frank_wolfe

from refgrad import contracts, exact
from refgrad.contracts import multitask
from refgrad.contracts.multitask import methods
from refgrad.contracts.multitask.min_norm_variants import Recipe, direction_formula, weights_formula
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.contracts.tools import NotApplicable
from refgrad.errors import Inconclusive, UsageError

WEIGHTS, DIRECTION = contracts.get("min_norm"), contracts.get("mgda_direction")
J = exact.asarray([[1, 0], [0, 2], [1, 3]])


def fractions(x):
    return [str(q) for q in exact.to_fractions(x)]


def within(formula, right):
    """Whether an enclosure of the formula at `J` contains the numbers `right`, and is narrow."""
    found = exact.evaluate(lambda J: formula(J).value, J)
    return np.allclose(((found.low + found.high) / 2).astype(float), right, rtol=1e-14, atol=1e-14)


def test_the_contracts_own_choices_are_the_min_norm_weights_and_direction():
    for inputs in draws(task_gradients("crisp"), 20) + draws(task_gradients("degenerate"), 20):
        J = exact.asarray(inputs["J"])
        assert np.all(weights_formula(Recipe())(J).value == multitask.min_norm(J).value)
        assert np.all(direction_formula(Recipe())(J).value == multitask.direction(J).value)
        assert np.all(weights_formula(Recipe())(J).magnitude == 1)
        assert np.all(direction_formula(Recipe())(J).magnitude == abs(J).sum(0))


@pytest.mark.parametrize(
    ("changes", "rows", "weights"),
    [
        ({"margin": 20}, [[1], [2]], ["49/50", "1/50"]),
        ({"margin": 1}, [[2], [1]], ["1/1000", "999/1000"]),
        ({"least": 20}, [[1], [2]], ["50/51", "1/51"]),
        ({"least": 1}, [[1], [2]], ["1000/1001", "1/1001"]),
        ({"scale": "mean"}, [[1, 0], [0, 1]], ["1/4", "1/4"]),
        ({"scale": "count"}, [[1, 0], [0, 1]], ["1", "1"]),
        ({"method": "inverse norms"}, [[3, 4], [0, 1]], ["1/6", "5/6"]),
        ({"method": "inverse norms", "epsilon": 1}, [[3, 4], [0, 1]], ["11/62", "51/62"]),
        ({"epsilon": 1}, [[1, 0], [0, 2]], ["40/51", "11/51"]),
        ({"method": "inverse squared norms", "epsilon": 1}, [[1, 0], [0, 2]], ["41/52", "11/52"]),
        (
            {"method": "best three"},
            [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 3]],
            ["1/3", "1/3", "1/3", "0"],
        ),
        ({"method": "frank-wolfe", "steps": 2}, [[1], [5]], ["1", "0"]),
        ({"method": "frank-wolfe", "steps": 1}, [[1], [5]], ["1", "0"]),
        ({"method": "pcgrad"}, [[1, 0], [-2, 1]], ["3", "7/5"]),
        ({"rows": "units", "method": "best pair"}, [[3, 4], [0, 2], [0, -1]], None),
        ({"rows": "units"}, [[3, 0], [0, 4], [-3, -4]], ["1/4", "1/3", "5/12"]),
    ],
)
def test_weights_that_deviate_are_those_of_their_formulas_by_hand(changes, rows, weights):
    formula = weights_formula(Recipe(**changes))
    if weights is None:  # <g_2, g_3> = -|g_2| |g_3| is the only pair that cancels
        weights = ["0", "1/2", "1/2"]
    found = exact.evaluate(lambda J: formula(J).value, exact.asarray(rows))
    for low, high, right in zip(found.low, found.high, weights, strict=True):
        assert low <= Fraction(right) <= high < low + Fraction(1, 2**60)


def test_pcgrad_projects_a_conflict_away_and_its_mean_divides_by_the_tasks():
    rows = exact.asarray([[1, 0], [-2, 1]])
    g, h = rows
    right = g - (g @ h) / (h @ h) * h + h - (h @ g) / (g @ g) * g
    assert np.all(direction_formula(Recipe(method="pcgrad"))(rows).value == right)
    assert np.all(direction_formula(Recipe(method="pcgrad", scale="mean"))(rows).value == right / 2)


def test_roots_and_exponentials_are_enclosed():
    lengths = np.array([1, 2, np.sqrt(10)])
    assert within(weights_formula(Recipe(method="inverse norms")), 1 / lengths / (1 / lengths).sum())
    a = np.array([4 / 5, 1 / 5, 0])
    assert within(weights_formula(Recipe(after="softmax")), np.exp(a) / np.exp(a).sum())
    assert within(direction_formula(Recipe(length="one")), np.array([2, 1]) / np.sqrt(5))
    with pytest.raises(NotApplicable):
        direction_formula(Recipe(length="one"))(exact.asarray([[1], [-1]]))


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_frank_wolfe_stops_after_its_steps_and_is_the_same_in_rationals_balls_and_floats(steps):
    rng = np.random.default_rng(3)
    formula = weights_formula(Recipe(method="frank-wolfe", steps=steps))
    for _ in range(5):
        rows = rng.integers(-4, 5, (4, 3)) + rng.integers(1, 3, (1, 3)) / 2
        right = frank_wolfe(rows, steps)
        assert np.allclose(formula.plain(rows), right, atol=1e-9)
        try:
            found = exact.evaluate(lambda J: formula(J).value, exact.asarray(rows))
        except Inconclusive:  # two gradients are tied
            continue
        assert np.allclose(found.low.astype(float), right, atol=1e-9)


def test_the_best_three_of_four_are_those_of_the_smallest_squared_norm():
    rng = np.random.default_rng(11)
    few = 0
    for _ in range(12):
        rows = exact.asarray(rng.integers(-5, 6, (5, 6)) + 1)
        try:
            a = methods.best_few(rows, 3)
        except NotApplicable:
            continue
        v = rows.T @ a
        squares = [multitask.squared_norm(rows[[i, j, k]]).value for i in range(5) for j in range(i) for k in range(j)]
        assert v @ v == min(squares, key=exact.to_fractions)
        few += bool(v @ v > multitask.squared_norm(rows).value)
    assert few > 2


def test_of_rows_of_length_one_none_is_the_shortest():
    with pytest.raises(NotApplicable, match="none is the shortest"):
        weights_formula(Recipe(rows="units", method="shortest"))(J)


@pytest.mark.parametrize("seed", range(4))
def test_the_best_three_of_normalised_rows_are_told_in_balls_by_which_rows_have_weight(seed):
    rows = np.random.default_rng(seed).integers(1, 9, (6, 5)).astype(float)  # a pair is the best of several threes
    found = exact.evaluate(lambda J: methods.best_few(methods.units(J), 3), exact.asarray(rows))
    a = np.array(found.low, float)
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    assert a.sum() == pytest.approx(1)
    assert np.count_nonzero(a > 0) <= 3
    least = min(
        np.linalg.norm(units[list(three)].T @ nearest(units[list(three)])) for three in combinations(range(6), 3)
    )
    assert np.linalg.norm(units.T @ a) == pytest.approx(least, rel=1e-9)


def nearest(rows):
    """The weights of the shortest vector in the hull of three rows: of all faces the best that is inside."""
    best = None
    for size in (1, 2, 3):
        for face in map(list, combinations(range(3), size)):
            a = np.linalg.solve(rows[face] @ rows[face].T, np.ones(size))
            full = np.zeros(3)
            full[face] = a / a.sum()
            if (full >= 0).all() and (best is None or np.linalg.norm(rows.T @ full) < np.linalg.norm(rows.T @ best)):
                best = full
    return best


@pytest.mark.parametrize("variant", WEIGHTS.variants, ids=lambda v: v.name)
def test_a_formula_on_floats_agrees_with_itself_in_exact_arithmetic(variant):
    compared = 0
    for inputs in draws(task_gradients("rough"), 20):
        rows = np.array(inputs["J"])
        try:
            right = exact.evaluate(lambda J: variant.answer(J).value, exact.asarray(rows))
            found = variant.answer.plain(rows)
        except (NotApplicable, Inconclusive):
            continue
        assert np.allclose(found, right.low.astype(float), rtol=1e-9, atol=1e-9)
        compared += 1
    assert compared >= 2 or variant.name == "best-three-only"  # of four gradients, which few problems have


@pytest.mark.parametrize("contract", [WEIGHTS, DIRECTION], ids=lambda c: c.name)
def test_names_are_told_once_and_products_name_both_of_their_choices(contract):
    singles = [v.name for v in contract.variants]
    products = [v.name for v in contract.products()]
    assert len(set(singles)) == len(singles)
    assert len(set(products)) == len(products)
    assert not set(singles) & set(products)
    assert "normalised-rows-with-inverse-norm" in products
    assert "clamp-0.999-with-normalised-rows" in products


def test_a_convention_makes_its_deviation_the_contract():
    rows = exact.asarray([[1, 0], [0, 1]])
    of_sum_two, left = WEIGHTS.choose({"scale": "count", "steps": 3})
    assert left == {"steps": 3}
    assert fractions(of_sum_two.quantity(rows).value) == ["1", "1"]
    assert of_sum_two.error((rows,), exact.asarray([1, 1])) == 0
    assert of_sum_two.error((rows,), exact.asarray(["1/2", "1/2"])) == Fraction(1, 2)
    assert "of-sum-one" in [v.name for v in of_sum_two.variants]
    step, _ = DIRECTION.choose({"sign": "minus", "scale": "mean"})
    assert fractions(step.quantity(rows).value) == ["-1/4", "-1/4"]
    assert step.certify((rows,), exact.asarray(["-1/4", "-1/4"])) == 0
    assert {"positive", "scaled-by-count", "of-sum-one"} <= {v.name for v in step.variants}
    with pytest.raises(UsageError, match="one of plus, minus"):
        DIRECTION.choose({"sign": "down"})


def test_what_may_be_declared_says_so():
    declared = {v.name: v.declare for v in DIRECTION.variants if v.declare}
    assert declared == {
        "scaled-by-count": "--param scale=count",
        "divided-by-count": "--param scale=mean",
        "negated": "--param sign=minus",
    }
