"""The kit on itself: every variant, made a subject, is diagnosed as itself; the oracle, made a subject, is exact."""

from fractions import Fraction

import numpy as np
import pytest

from refgrad import exact
from refgrad.conformance import contracts
from refgrad.conformance.finding import find
from refgrad.conformance.run import Run
from refgrad.conformance.subject import LocalSubject
from refgrad.conformance.truth import ExactFramework, Judge

EXAMPLES = {"min_norm": 50, "mgda_direction": 50}
NAMES = sorted(contracts.contracts())


class Rounded(LocalSubject):
    """A subject that returns a formula's exact value, correctly rounded; the contract's where the formula has none."""

    formula = None

    def reply(self, message):
        contract = self.contract
        arguments = contract.arguments(message["inputs"], ExactFramework())
        found = self.formula(message["inputs"], arguments)
        rounded = np.dtype(message["dtype"]).type
        numbers = [float(rounded(float(v))).hex() for v in found]
        return {"kind": "value", "dtype": message["dtype"], "shape": message["shape"], "hex": numbers}


@pytest.fixture(scope="module", params=NAMES)
def referee(request):
    return Judge(contracts.get(request.param))


def found(referee, formula, dtype="float64"):
    subject = Rounded(referee.contract, "formula", "numpy", dtype)
    subject.formula = formula
    run = Run(subject, referee, EXAMPLES.get(referee.contract.name, 16), 0)
    run.sweep()
    return find(run)


def values(answer, arguments):
    enclosure = exact.run(lambda *given: answer(*given).value, *arguments)
    return [(Fraction(a) + Fraction(b)) / 2 for a, b in zip(enclosure.low.flat, enclosure.high.flat, strict=True)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_oracle_rounded_to_floats_is_as_accurate_as_floats_allow(referee, dtype):
    assert found(referee, lambda inputs, arguments: values(referee.contract.oracle, arguments), dtype).grade in (
        "exact",
        "accurate",
    )


def test_every_variant_is_diagnosed_as_itself(referee):
    from refgrad.conformance.contract import Problem

    wrong = {}
    for variant in referee.contract.variants:

        def formula(inputs, arguments, variant=variant):
            truth = referee.variant(Problem("", inputs), variant) or referee.truth(Problem("", inputs))
            return truth.middle

        finding = found(referee, formula)
        if finding.grade != f"variant:{variant.name}":
            wrong[variant.name] = (finding.grade, finding.diagnosis)
    assert wrong == {}


def test_seven_times_the_truth_is_no_contract(referee):
    finding = found(referee, lambda inputs, arguments: [7 * v for v in values(referee.contract.oracle, arguments)])
    assert finding.grade in ("variant:scaled", "wrong")
