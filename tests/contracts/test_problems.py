"""What the strategies promise about the problems they draw."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from helpers.drawing import draws
from hypothesis import find, settings

from refgrad import exact
from refgrad.contracts import multitask, tools
from refgrad.contracts.continual.problems import classification
from refgrad.contracts.implicit.problems import bilevel
from refgrad.contracts.meta.problems import few_shot, quadratic_tasks
from refgrad.contracts.meta.problems import loss as loss_of
from refgrad.contracts.multitask.problems import task_gradients
from refgrad.errors import InvalidInput
from refgrad.strategies.numbers import KINDS, halves, integers, rough
from refgrad.theory.continual.problems import consecutive_regressions

STRATEGIES = {"few_shot": few_shot, "task_gradients": task_gradients, "classification": classification}
every = pytest.mark.parametrize(("name", "kind"), [(n, k) for n in STRATEGIES for k in KINDS])


def numbers(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for item in value for x in numbers(item)]
    return [value] if isinstance(value, float) else []


@every
def test_every_float_is_exact_in_float32_unless_it_is_rough_and_survives_json(name, kind):
    full = kind == "rough" or (name == "task_gradients" and kind == "ill_conditioned")
    seen = []
    for inputs in draws(STRATEGIES[name](kind), 60):
        values = numbers(inputs)
        assert values
        seen += [float(np.float32(x)) == x for x in values]
        assert json.loads(json.dumps(inputs)) == inputs
    assert all(seen) or (full and sum(seen) <= len(seen) / 2)


def test_rough_numbers_use_the_whole_mantissa_and_others_do_not():
    for x in draws(rough(), 50):
        assert abs(x) < 2
        assert (x * 2**52) % 2 == 1
        assert float(np.float32(x)) != x
    for x in draws(rough(2, 24), 50):
        assert abs(x) < 2
        assert (x * 2**23) % 2 == 1
        assert float(np.float32(x)) == x
    assert all(x == int(x) for x in draws(integers(), 5))
    assert all(2 * x == int(2 * x) for x in draws(halves(), 9))


def test_all_supports_of_a_problem_have_one_shape_and_all_queries_another():
    shapes = set()
    for kind in KINDS:
        for inputs in draws(few_shot(kind), 60):
            for place in (0, 1):
                found = {np.shape(task[place][0]) for task in inputs["tasks"]}
                assert len(found) == 1
                assert all(np.shape(task[place][1]) == np.shape(task[place][0])[:1] for task in inputs["tasks"])
                shapes |= {(place, *shape) for shape in found}
    assert len(shapes) <= 10  # few enough for a compiler to be called rarely


def test_most_meta_learning_problems_have_what_separates_the_formulas():
    found = draws(few_shot("crisp"), 100)
    assert sum(inputs["steps"] >= 2 for inputs in found) >= 60
    assert sum(len(inputs["tasks"]) >= 2 for inputs in found) >= 60
    assert sum(len(inputs["theta"]) >= 2 and len(inputs["tasks"][0][0][1]) >= 2 for inputs in found) >= 60
    assert all(math.log2(inputs["lr"]) % 1 == 0 and 0 < inputs["lr"] <= 0.5 for inputs in found)


@pytest.mark.parametrize("kind", KINDS)
def test_adaptation_moves_the_parameters_but_numbers_do_not_explode(kind):
    moved = 0
    for inputs in draws(few_shot(kind), 40):
        loss = loss_of(inputs, tools.EXACT_TABLE)
        theta, lr = exact.asarray(inputs["theta"]), exact.asarray(inputs["lr"])
        for support, _ in inputs["tasks"]:
            batch = tuple(exact.asarray(x) for x in support)
            before = loss(theta, batch)
            point = theta
            for _ in range(inputs["steps"]):
                point = point - lr * loss.grad(point, batch)
            after = loss(point, batch)
            assert after <= before
            moved += bool(10 * after < 9 * before)
    # where one direction is much steeper than the others, the rate that it allows moves little else
    assert moved > {"ill_conditioned": 15, "degenerate": 0}.get(kind, 30)


def test_two_tasks_with_the_optimum_at_a_vertex_and_inside_are_both_frequent():
    pairs = [exact.asarray(i["J"]) for i in draws(task_gradients("crisp"), 200) if len(i["J"]) == 2]
    shares = [max(float(w) for w in multitask.min_norm(J).value) for J in pairs]
    strict = [J for J, w in zip(pairs, shares, strict=True) if w == 1 and multitask.squared_norm(J).value > 0]
    assert len(pairs) > 60
    assert len(strict) > 20
    assert sum(w < 1 for w in shares) > 20


def test_degenerate_gradients_have_single_zero_equal_opposite_and_proportional_rows():
    seen = set()
    for inputs in draws(task_gradients("degenerate"), 80):
        rows = inputs["J"]
        seen |= {"single"} if len(rows) == 1 else set()
        seen |= {"zero"} if not any(rows[0]) else set()
        if any(rows[0]) and len(rows) > 1:
            for factor, word in ((1, "equal"), (-2, "opposite"), (4, "proportional")):
                seen |= {word} if rows[-1] == [factor * x for x in rows[0]] else set()
    assert seen == {"single", "zero", "equal", "opposite", "proportional"}


def test_classification_has_three_classes_and_labels_the_model_does_not_find_likely():
    found = draws(classification("crisp"), 60)
    surprised = 0
    for inputs in found:
        assert inputs["classes"] >= 3
        if inputs["model"] == "linear":
            z = np.array(inputs["X"]) @ np.reshape(inputs["theta"], (-1, 3))
            surprised += bool(np.any(z.argmax(axis=1) != inputs["y"]))
    assert surprised > 15
    assert {len(inputs["y"]) % 2 for inputs in found} == {0, 1}
    assert {inputs["model"] for inputs in found} == {"linear", "squared"}


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_smallest_example_is_small(name):
    smallest = find(STRATEGIES[name]("crisp"), lambda inputs: True, settings=settings(database=None))
    assert all(x == 0 for key, value in smallest.items() if key != "lr" for x in numbers(value))
    assert len(numbers(smallest)) <= 8


def test_rough_numbers_spread_over_their_range():
    values = np.array(draws(rough(), 200))
    assert np.all(np.histogram(values, bins=4, range=(-2, 2))[0] > 20)


@pytest.mark.parametrize(
    "strategy", [bilevel, classification, consecutive_regressions, few_shot, quadratic_tasks], ids=lambda s: s.__name__
)
def test_a_kind_that_does_not_exist_is_named_with_those_that_do(strategy):
    with pytest.raises(InvalidInput, match=r"one of crisp, rough, ill_conditioned, degenerate; got 'crips'"):
        draws(strategy("crips"), 1)
