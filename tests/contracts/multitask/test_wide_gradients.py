"""Wide problems of task gradients: their sizes, their optimum, and what they tell apart."""

from __future__ import annotations

import random
from fractions import Fraction

import numpy as np
import pytest

from refgrad import contracts, exact
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts import multitask
from refgrad.contracts.contract import Problem
from refgrad.contracts.multitask.min_norm import optimal_weights
from refgrad.contracts.multitask.wide import DIRECTIONS, WIDE, build, measure
from refgrad.contracts.wide import Numbers

SEEDS = range(20)
both = pytest.mark.parametrize("wide", [WIDE, DIRECTIONS], ids=["weights", "directions"])


@both
@pytest.mark.parametrize("seed", SEEDS)
def test_the_ends_of_the_sizes_are_in_two_problems_of_every_run_and_many_gradients_carry_weight(wide, seed):
    found = [measure(inputs) for inputs in wide.inputs(seed)]
    for name, ends in (("gradients", (1, 12)), ("parameters", (1, 40)), ("gradients with weight", (1,))):
        for end in ends:
            assert sum(one[name] == end for one in found) >= 2
    assert found[1]["gradients"] == found[1]["gradients with weight"] == 12
    assert found[1]["parameters"] == 40
    assert sum(one["gradients with weight"] >= 4 for one in found) >= 2
    assert {word for one in found for word in one["rows"]} & {"zero", "opposite"}
    assert {word for one in found for word in one["rows"]} & {"equal", "parallel"}
    sizes = [one["largest entry"] for one in found if one["largest entry"]]
    assert sum(size < 1e-2 for size in sizes) >= 2
    assert sum(size > 1e6 for size in sizes) >= 2


@both
def test_the_largest_problem_is_ill_conditioned_whatever_the_seed(wide):
    for seed in SEEDS:
        sizes = np.linalg.svd(np.array(wide.inputs(seed)[1]["J"]), compute_uv=False)
        assert 2**12 < sizes[0] / sizes[-1] < 2**19


@pytest.mark.parametrize("structure", WIDE.ranges["structure"])
@pytest.mark.parametrize("carrying", ["one", "all"])
def test_the_optimum_of_plain_problems_is_the_level_that_they_were_built_on(structure, carrying):
    for seed in range(6):
        inputs = build(Numbers(random.Random(seed), plain=True), 5, 7, carrying, structure, "as they are")
        J = exact.asarray(inputs["J"])
        v = multitask.direction(J).value
        if structure == "cancelling":
            assert np.all(v == 0)
        elif structure != "repeated":
            assert v[0] == (Fraction(1, 1024) if structure == "near zero" else 1)
            assert np.all(v[1:] == 0)
            assert sum(bool(a > 0) for a in optimal_weights(J)) <= (1 if carrying == "one" else 5)


def test_plain_problems_are_small_integers_where_nothing_scales_them():
    inputs = build(Numbers(random.Random(3), plain=True), 6, 4, "some", "general", "as they are")
    entries = [x for row in inputs["J"] for x in row]
    assert all(float(2 * 3 * x).is_integer() for x in entries)


def test_what_is_special_about_rows_is_read_off_any_problem():
    rows = [[1.0, 2.0], [1.0, 2.0], [-2.0, -4.0], [3.0, 6.0], [0.0, 0.0]]
    assert measure({"J": rows})["rows"] == ("equal", "more than parameters", "opposite", "parallel", "zero")
    assert measure({"J": [[1.0, 0.0], [1.0, 1.0]]})["rows"] == ("general",)
    assert measure({"J": [[1.0, 0.0], [1.0, 1.0]]})["gradients with weight"] == 1


@pytest.mark.parametrize("name", ["min_norm", "mgda_direction"])
def test_the_range_that_a_contract_states_is_that_of_its_problems(name):
    contract = contracts.get(name)
    stated = contract.parameters["J"]
    covered = contract.wide.covered(contract.wide.inputs(0))
    assert f"K from {covered['gradients'][0]} to {covered['gradients'][1]}" in stated
    assert f"n from {covered['parameters'][0]} to {covered['parameters'][1]}" in stated


@pytest.mark.parametrize("name", ["min_norm", "mgda_direction"])
def test_the_truth_of_the_largest_problem_satisfies_the_optimality_conditions(name):
    contract = contracts.get(name)
    problem = Problem("wide", contract.wide.inputs(3)[1])
    truth = Referee(contract).truth(problem)
    J = exact.asarray(problem.inputs["J"])
    v = J.T @ exact.asarray(truth.middle) if name == "min_norm" else exact.asarray(truth.middle)
    products = exact.to_fractions(J @ v)
    level, largest = exact.to_fractions(v @ v), max(exact.to_fractions((J * J).sum(1)))
    assert all(abs(p - level) <= largest / 2**60 for p in products)  # all twelve carry weight
    width = max(h - low for low, h in zip(truth.low, truth.high, strict=True))
    assert width <= max(abs(m) for m in truth.middle) / 2**60
