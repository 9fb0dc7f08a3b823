"""The contracts of meta-learning: what their problems cover, what tells formulas apart, and what may be declared."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from helpers.drawing import Doubles, Rationals, draws

from refgrad import exact
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts import get
from refgrad.contracts.meta import imaml, maml, reptile
from refgrad.contracts.meta.maml_variants import CHOICES
from refgrad.contracts.meta.problems import adapted_tasks
from refgrad.contracts.tools import EXACT_TABLE
from refgrad.contracts.tools.two_layers import TwoLayers

NAMES = ("maml_gradient", "fomaml_gradient", "reptile_update", "imaml_gradient")
every = pytest.mark.parametrize("name", NAMES)
a = exact.asarray


def ends(values):
    return [values[0], values[-1]] if isinstance(values, range) else sorted(set(values), key=str)


@every
def test_every_end_of_every_range_is_in_two_wide_problems_whatever_the_seed(name):
    wide = get(name).wide
    for seed in range(8):
        measured = [wide.measure(inputs) for inputs in wide.inputs(seed)]
        for prop, values in wide.ranges.items():
            words = ["positive" if v == "large" else v for v in ends(values)]
            for end in words:
                holds = [end in m[prop] if isinstance(m[prop], tuple) else m[prop] == end for m in measured]
                assert sum(holds) >= 2, (seed, prop, end)


@every
def test_what_a_problem_measures_is_what_is_in_it(name):
    for inputs in get(name).wide.inputs(3):
        found = get(name).wide.measure(inputs)
        sizes = [[len(batch[1]) for batch in task] for task in inputs["tasks"]]
        assert found["tasks"] == len(sizes)
        assert set(found["examples"]) == {n for task in sizes for n in task}
        assert (found["sizes"] == "unequal") == (len({tuple(task) for task in sizes}) > 1)
        assert found["parameters"] == len(inputs["theta"])
        assert found["layers"] == (1 if inputs["loss"][0] == "quartic" else 2)


def test_some_rates_are_above_one_half_and_none_is_a_power_of_two():
    for name in NAMES[:3]:
        for seed in range(5):
            rates = [inputs["lr"] for inputs in get(name).wide.inputs(seed)]
            assert sum(lr > 0.5 for lr in rates) >= 2
            assert all(lr == 0 or np.frexp(lr)[0] not in (0.5, -0.5) for lr in rates)


@every
def test_every_formula_that_deviates_once_is_told_from_the_contract_by_two_problems(name):
    pytest.importorskip("flint", reason="balls need python-flint, which the extra exact brings")
    contract = get(name)
    referee, problems = Referee(contract), list(sweep.problems(contract, 100, 0))
    wide = [p for p in problems if p.kind == "wide"]
    for variant in contract.variants:
        telling = 0
        for problem in (*problems[::9], *wide, *problems):
            telling += referee.differs(problem, variant)
            if telling == 2:
                break
        assert telling == 2, variant.name


@pytest.mark.parametrize("kind", ["crisp", "ill_conditioned", "degenerate"])
def test_adapted_parameters_are_stationary_and_a_minimum(kind):
    for inputs in draws(adapted_tasks(kind), 30):
        loss, theta, adapted, tasks, lam = get("imaml_gradient").arguments(inputs, Rationals)
        for phi, (support, _) in zip(adapted, tasks, strict=True):
            slope = loss.grad(phi, support) + lam * (phi - theta)
            largest = max(abs(exact.to_fractions(x)).max() for x in (*support[:2], phi, theta, lam * phi))
            assert np.all(abs(slope) <= Fraction(1, 2**50) * largest)
            assert kind != "crisp" or np.all(slope == 0)
        for phi, (support, _) in zip(inputs["adapted"], inputs["tasks"], strict=True):
            batch, point = [np.array(x) for x in support], np.array(phi)
            hessian = np.array([loss.hvp(point, batch, unit) for unit in np.eye(len(phi))])
            assert np.linalg.eigvalsh(hessian)[0] > -0.75 * inputs["lam"]


def test_weights_put_back_before_the_backward_pass_are_seen_on_a_product_of_two_numbers():
    """``(b a x - y)^2 / 2`` with x = 1, y = 0, a = b = 1 and one step of 1/2, which leads to a = b = 1/2."""
    one, zero = a([[1]]), a([0])
    call = TwoLayers(EXACT_TABLE, 1), a([1, 1]), [((one, zero), (one, zero))], a("1/2"), 1
    assert list(get("fomaml_gradient").quantity(*call).value) == [Fraction(1, 8)] * 2
    # a's gradient is r b x with the residual r = 1/4 and, put back, b = 1: 1/4


@every
def test_the_formulas_serve_floats_as_they_serve_rationals(name):
    contract = get(name)
    for problem in draws(contract.problems["rough"](), 4):
        truth = contract.quantity(*contract.arguments(problem.inputs, Rationals))
        found = contract.quantity.plain(*contract.arguments(problem.inputs, Doubles))
        error = abs(truth.value.astype(float) - found)
        assert np.all(error <= 2.0**-46 * truth.magnitude.astype(float).max())


@every
def test_the_sum_over_tasks_may_be_declared_and_then_the_mean_is_a_variant(name):
    contract = get(name)
    summed = contract.declared(reduction="sum")
    (problem,) = draws(contract.problems["crisp"](), 1, at=2)
    call = contract.arguments(problem.inputs, Rationals)
    own = {v.name: v for v in contract.variants}
    other = {v.name: v for v in summed.variants}
    assert own["sum-over-tasks"].declare == "--param reduction=sum"
    assert other["mean-over-tasks"].declare == "--param reduction=mean"
    assert "sum-over-tasks" not in other
    assert "mean-over-tasks" not in own
    assert np.all(summed.quantity(*call).value == own["sum-over-tasks"].answer(*call).value)
    assert np.all(contract.quantity(*call).value == other["mean-over-tasks"].answer(*call).value)
    assert summed.options == {"reduction": "sum"}
    assert "reduction sum" in summed.returns


@every
def test_names_are_distinct_products_included(name):
    contract = get(name)
    names = [v.name for v in (*contract.variants, *contract.products())]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", n) for n in names)


def test_the_defaults_of_a_recipe_are_the_contracts_own_choices():
    quantities = [(maml, "maml_gradient"), (reptile, "reptile_update"), (imaml, "imaml_gradient")]
    for module, name in quantities:
        contract = get(name)
        (problem,) = draws(contract.problems["crisp"](), 1, at=1)
        call = contract.arguments(problem.inputs, Rationals)
        assert np.all(module.compute(module.Recipe())(*call) == contract.quantity(*call).value)


PRODUCTS = (
    ("fomaml-with-multi-step-loss", ("fomaml", "multi-step-loss")),
    ("last-task-only-with-support-loss-in-outer", ("last-task-only", "support-loss-in-outer")),
    ("last-step-only-with-sum-over-tasks", ("last-step-only", "sum-over-tasks")),
    ("one-leap-with-inner-loss-summed", ("one-leap", "inner-loss-summed")),
)


@pytest.mark.parametrize(("name", "parts"), PRODUCTS)
def test_a_product_deviates_in_both_ways_at_once(name, parts):
    contract = get("maml_gradient")
    (product,) = [v for v in contract.products() if v.name == name]
    changes = {k: v for c in CHOICES if c.name in parts for k, v in c.changes.items()}
    (problem,) = draws(contract.problems["crisp"](), 1, at=5)
    call = contract.arguments(problem.inputs, Rationals)
    both = maml.compute(replace(maml.Recipe(), **changes))(*call)
    assert np.all(product.answer(*call).value == both)


def test_a_multi_step_loss_to_first_order_is_the_mean_of_the_query_gradients_along_the_path():
    contract = get("maml_gradient")
    (product,) = [v for v in contract.products() if v.name == "fomaml-with-multi-step-loss"]
    for problem in draws(contract.problems["crisp"](), 8):
        loss, theta, tasks, lr, steps = contract.arguments(problem.inputs, Rationals)
        total = 0
        for support, query in tasks:
            point = theta
            for _ in range(steps):
                point = point - lr * loss.grad(point, support)
                total = total + loss.grad(point, query)
        assert np.all(product.answer(loss, theta, tasks, lr, steps).value == total / (steps * len(tasks)))


def test_a_pair_that_has_a_name_of_its_own_is_not_named_twice():
    names = [v.name for v in (*get("maml_gradient").variants, *get("maml_gradient").products())]
    assert "fomaml-sum-over-tasks" in names
    assert "fomaml-with-sum-over-tasks" not in names
