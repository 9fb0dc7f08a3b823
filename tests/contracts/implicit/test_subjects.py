"""What a contract of a bilevel problem hands out: examples that conform, and regression tests that run on their own."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from helpers.drawing import Doubles, draws

from refgrad import contracts
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts.contract import Failure, Problem
from refgrad.contracts.regression import regression
from refgrad.exact import evaluate

CONTRACTS = [contracts.get(name) for name in ("hypergradient", "neumann_hypergradient", "unrolled_hypergradient")]
DECLARED = [*CONTRACTS, contracts.get("neumann_hypergradient").declared(count="terms")]


def example(contract):
    namespace = {}
    exec(contract.example, namespace)
    (function,) = [value for value in namespace.values() if inspect.isfunction(value)]
    return function


@pytest.mark.parametrize("contract", DECLARED, ids=lambda c: "-".join((c.name, *c.options.values())))
@pytest.mark.parametrize("kind", ["crisp", "rough", "ill_conditioned", "degenerate", "wide"])
def test_the_example_of_a_contract_conforms(contract, kind):
    if kind == "wide":
        posed = [Problem(kind, inputs) for inputs in contract.wide.inputs(2)[:4]]
    else:
        posed = draws(contract.problems[kind](), 6)
    referee, function = Referee(contract), example(contract)
    for problem in posed:
        value = function(*contract.arguments(problem.inputs, Doubles))
        assert referee.judge(problem, value).verdict == "passed"


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
@pytest.mark.parametrize("loss", ["penalised", "two layers"])
def test_a_regression_test_hands_in_the_same_losses_and_accepts_what_is_right_alone(contract, loss):
    posed = draws(contract.problems["crisp"](), 20)
    problem = next(p for p in posed if contract.wide.measure(p.inputs)["loss"] == loss and len(p.inputs["w"]) > 1)
    arguments = contract.arguments(problem.inputs, Doubles)
    truth = Referee(contract).truth(problem)
    source = regression(
        contract, Failure("", "function", "numpy", "float64", problem, truth, 1e-9, [0.0], "It is wrong.")
    )
    assert "refgrad" not in source
    seen, answers = [], [example(contract), lambda *given: 1 + example(contract)(*given)]

    def subject(*given):
        seen.append(given)
        return answers[len(seen) - 1](*given)

    namespace = {"subject": subject}
    exec(source, namespace)
    (test,) = [value for name, value in namespace.items() if name.startswith("test_")]
    test()
    with pytest.raises(AssertionError):
        test()
    for given, own in ((seen[0][0], arguments[0]), (seen[0][1], arguments[1])):
        assert given(*arguments[2:4]) == own(*arguments[2:4])
        assert all(
            np.all(getattr(given, name)(*call) == getattr(own, name)(*call)) for name, call in calls(own, arguments)
        )


def calls(loss, arguments):
    """The derivatives by hand of a loss, with something to call each on."""
    w, phi = arguments[2:4]
    return [(name, (w, phi, w) if name in ("hvp", "mixed") else (w, phi)) for name in loss.BY_HAND]


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.name)
def test_the_truth_of_a_product_of_deviations_is_known(contract):
    found = contract.products()
    assert len({v.name for v in found}) == len(found) > 300
    inputs = draws(contract.problems["crisp"](), 5)[-1].inputs
    names = {v.name: v for v in found}
    pair = names.get("direct-only-with-zero") or names["missing-direct-with-doubled"]
    call = Referee(contract).arguments(Problem("crisp", inputs))
    assert evaluate(pair.answer, *call).value.value.shape == (len(inputs["phi"]),)
