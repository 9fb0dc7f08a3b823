"""The kit on itself: every variant, made a subject, is diagnosed as itself; the quantity, made a subject, is exact."""

import pytest
from helpers.subjects import Rounded, answer, members

from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Run
from refgrad.conformance.judging.verdict import find

pytestmark = pytest.mark.usefixtures("drawn_once")
EXAMPLES = {"min_norm": 50, "mgda_direction": 50, "gradient": 60, "hvp": 60}
OPERATOR_EXAMPLES = 24


LONG = ("fomaml_gradient", "imaml_gradient", "mgda_direction", "unrolled_hypergradient", "reptile_update")
"""Contracts with as many formulas as those beside them, and much the same; theirs are named among the seeds."""


@pytest.fixture(scope="module", params=members())
def referee(request):
    return Referee(request.param)


def found(referee, formula, dtype="float64"):
    contract = referee.contract
    subject = Rounded(contract, "formula", "numpy", dtype)
    subject.formula = formula
    examples = OPERATOR_EXAMPLES if contract.options else EXAMPLES.get(contract.name, 16)
    run = Run(subject, referee if dtype == referee.dtype else Referee(contract, dtype), examples, 0)
    run.sweep()
    return find(run)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_quantity_rounded_to_floats_is_as_accurate_as_floats_allow(referee, dtype):
    finding = found(referee, lambda problem: referee.truth(problem).middle, dtype)
    assert finding.grade in ("exact", "accurate"), finding


def test_every_variant_is_diagnosed_as_itself(referee):
    if referee.contract.name in LONG:
        pytest.skip("conformance/seeds names each of these variants, and products, on twenty seeds")
    wrong = {}
    for variant in referee.contract.variants:

        def formula(problem, variant=variant):
            return answer(referee, problem, variant)

        finding = found(referee, formula)
        if finding.grade != f"variant:{variant.name}":
            wrong[variant.name] = (finding.grade, finding.diagnosis)
    assert wrong == {}


def test_seven_times_the_truth_is_no_contract(referee):
    finding = found(referee, lambda problem: [7 * v for v in referee.truth(problem).middle])
    assert finding.grade in ("variant:scaled", "wrong")
