"""What counts as evidence for a formula, and what does not."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from refgrad.accuracy import UNIT_ROUNDOFF
from refgrad.conformance import verify
from refgrad.conformance.judging.diagnosis import diagnose, partial
from refgrad.conformance.judging.factor import constant_factor
from refgrad.conformance.judging.finding import relative_error
from refgrad.conformance.judging.groups import in_common, where
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Candidates, Record, Run
from refgrad.conformance.subject.outcome import Outcome
from refgrad.contracts.contract import Problem
from refgrad.contracts.tools.answer import Answer, NotApplicable, Variant
from refgrad.contracts.wide import Wide

U = UNIT_ROUNDOFF["float64"]


def never():
    return False


def variant(name, answer):
    return Variant(name, name, name, (), answer)


@pytest.fixture
def evidence(square):
    """A function of (variants, subject, inputs): the referee and the records of a subject."""

    def gather(variants, subject, inputs):
        referee = Referee(replace(square, variants=tuple(variants)))
        records = []
        for x in inputs:
            problem, value = Problem("crisp", {"x": x}), np.array(subject(np.array(x)), float)
            records.append(Record(problem, value, referee.judge(problem, value)))
        return referee, records

    return gather


CUBE = variant("cube", lambda x: Answer(x**3, abs(x) ** 3))
INPUTS = [[2.0], [3.0], [-1.0], [-2.0, 1.0]]


def test_a_formula_needs_three_failures_that_it_reproduces(evidence):
    for count, names in ((3, ["cube"]), (4, ["cube"])):
        referee, records = evidence([CUBE], lambda x: x**3, INPUTS[:count])
        assert [d.name for d in diagnose(referee, records, referee.contract.variants, never)] == names


def test_one_failure_that_a_formula_does_not_reproduce_rules_it_out(evidence):
    referee, records = evidence([CUBE], lambda x: x**3 if x[0] != 3 else 5 * x, INPUTS)
    assert diagnose(referee, records, referee.contract.variants, never) == []


def test_a_formula_too_close_to_the_truth_to_be_told_from_it_is_no_diagnosis(evidence):
    def close(x):  # 33 to 40 times the attainable error away: beyond the line of 30, but not clearly apart
        return Answer(x * x * (1 + 110 * U), x * x)

    referee, records = evidence([variant("close", close)], lambda x: x * x * (1 + 110 * float(U)), INPUTS)
    assert {r.judgement.verdict for r in records} == {"failed"}
    assert diagnose(referee, records, referee.contract.variants, never) == []


def test_no_formula_and_no_factor_is_tried_when_the_time_is_over(evidence):
    referee, records = evidence([CUBE], lambda x: x**3 if x[0] != -1 else 5 * x, [*INPUTS, [4.0], [5.0]])
    assert partial(referee, records, [CUBE], never).diagnosis.name == "cube"
    assert partial(referee, records, [CUBE], lambda: True) is None
    referee, records = evidence([CUBE], lambda x: x**3, INPUTS)
    assert diagnose(referee, records, [CUBE], lambda: True) == []
    referee, records = evidence([CUBE], lambda x: 3 * x * x, INPUTS)
    assert constant_factor(referee, records, never).name == "scaled"
    assert constant_factor(referee, records, lambda: True) is None


def properties_of(square, **properties):
    """A contract whose problems have these properties, each a list with one value for each problem."""
    measure = lambda inputs: {name: values[int(inputs["x"][0])] for name, values in properties.items()}
    count = len(next(iter(properties.values())))
    contract = replace(square, wide=Wide({}, lambda numbers: {}, measure))
    return contract, [Problem("wide", {"x": [float(i)]}) for i in range(count)]


def test_a_group_is_told_by_two_properties_at_most_the_plain_sizes_first(square):
    contract, problems = properties_of(
        square, rate=["low", "low", "high"], steps=[4, 4, 2], tasks=[5, 6, 1], scale=[0.5, 0.5, 3.0]
    )
    assert in_common(contract, problems[:2], problems[2:]) == "steps = 4 and rate low"
    # a measurement is told by a bound, and is no size
    contract, problems = properties_of(square, scale=[0.5, 0.5, 3.0])
    assert in_common(contract, problems[:2], problems[2:]) == "scale <= 0.5"


def test_how_inputs_lie_in_memory_tells_a_group_only_if_nothing_else_lies_so(square):
    contract, problems = properties_of(square, memory=["strided", "strided", "strided", "usual"])
    assert where(contract, problems[:2], problems[2:]) == ""
    assert where(contract, problems[:3], problems[3:]) == ", those with memory strided"


def test_the_relative_error_is_one_of_the_terms_where_the_truth_is_nearly_zero(square):
    cancels = lambda x: Answer(x - x + x / 2**60, 2 * abs(x))
    referee = Referee(replace(square, quantity=cancels))
    problem, value = Problem("crisp", {"x": [1.0]}), np.array([0.5])
    record = Record(problem, value, referee.judge(problem, value))
    run = SimpleNamespace(referee=referee)
    assert 0.2 < relative_error(run, [record]) < 0.3


def test_further_calls_are_on_problems_whose_answer_is_not_zero(square, all_calls):
    class Late:
        """Right thirty times, and then zero."""

        isolation, calls = "process", 0

        def call(self, inputs):
            self.calls += 1
            x = np.array(inputs["x"])
            return Outcome("value", value=x * x * (self.calls <= 30))

    run = Run(Late(), Referee(square), 10, 0)
    for x in ([0.0] for _ in range(8)):
        problem = Problem("crisp", {"x": x})
        run.records.append(Record(problem, np.array([0.0]), run.referee.judge(problem, np.array([0.0]))))
    problem = Problem("crisp", {"x": [2.0, 3.0]})
    run.records.append(Record(problem, np.array([4.0, 9.0]), run.referee.judge(problem, np.array([4.0, 9.0]))))
    run._repeat()
    assert "after other calls" in run.stateful


def test_a_random_subject_whose_first_calls_miss_what_is_rare_is_called_more_often(square):
    class Rare:
        """x^2 on average: 16 x^2 once in sixteen calls, and else 0."""

        isolation = "none"

        def call(self, inputs, seed):
            x = np.array(inputs["x"])
            return Outcome("value", value=16 * x * x * (seed % 16 == 15) + 1e-9 * seed)

    run = Run(Rare(), Referee(square), 10, 0, stochastic=10)
    run._over([Problem("crisp", {"x": [2.0]})], 1)
    assert [r.judgement.verdict for r in run.records] == ["passed"]


def test_problems_on_which_all_formulas_agree_are_not_effective(evidence):
    referee, records = evidence([CUBE], lambda x: x * x, [[0.0], [1.0], [0.0, 1.0], [2.0]])
    candidates = Candidates(referee)
    for record, effective in zip(records, (0, 0, 0, 1), strict=True):
        candidates.see(record)
        assert candidates.effective == effective
    assert candidates.remaining == []


def test_once_a_formula_is_ruled_out_problems_need_not_tell_it_from_the_contract(evidence):
    referee, records = evidence([CUBE], lambda x: x * x, [[2.0], [1.0]])
    candidates = Candidates(referee)
    for record in records:
        candidates.see(record)
    assert candidates.effective == 2


def test_a_right_subject_on_problems_without_effect_is_inconclusive(square):
    same = replace(square, variants=(variant("the-same", square.quantity),))
    report = verify(lambda x: x * x, same, max_examples=20)
    assert (report.grade, report.exit_code, report.effective) == ("inconclusive", 4, 0)
    assert report.outcomes == {"passed": report.ran}


def test_formulas_that_agree_on_every_failure_are_all_named(square):
    twins = replace(square, variants=(CUBE, variant("third-power", CUBE.answer)))
    report = verify(lambda x: x**3, twins, max_examples=20)
    assert report.diagnosis == "cube or third-power"
    assert len(report.candidates) == 2


def test_a_problem_on_which_the_subject_raised_is_evidence_neither_way(square):
    def cube_of_some(x):
        if len(x) > 2:
            raise ValueError("too long")
        return x**3

    report = verify(cube_of_some, replace(square, variants=(CUBE,)), max_examples=40)
    assert report.diagnosis == "cube"
    assert report.outcomes["raised"] > 0


@pytest.mark.parametrize("factor", [2, -3, 0.375, 1.1])
def test_a_constant_factor_is_found_to_the_last_digit(evidence, factor):
    referee, records = evidence([], lambda x: factor * x * x, INPUTS)
    found = constant_factor(referee, records, never)
    assert found is not None
    shown = found.formula.partition(" ")[0]
    numerator, _, denominator = shown.partition("/")
    assert float(numerator) / float(denominator or 1) == pytest.approx(factor, rel=1e-6)


def test_factors_that_differ_between_problems_are_no_constant(evidence):
    referee, records = evidence([], lambda x: (2 if x[0] > 0 else 3) * x * x, INPUTS)
    assert constant_factor(referee, records, never) is None


def test_a_formula_that_an_output_speaks_against_drives_out_none_that_is_silent(evidence):
    def of_one(x):
        if x.shape[0] != 1:
            raise NotApplicable("a formula for one number")
        return Answer(x**3, abs(x) ** 3)

    other = variant("elsewhere", lambda x: Answer(x**3 + 5 * (x == 0), abs(x) ** 3))
    among = [variant("of one", of_one), other]
    referee, records = evidence(among, lambda x: x**3, [*INPUTS, [0.0]])
    found = diagnose(referee, records, among, never)
    assert [(d.name, d.silent, d.contradicted) for d in found] == [("of one", 1, 0), ("elsewhere", 0, 1)]
    referee, records = evidence([*among, CUBE], lambda x: x**3, [*INPUTS, [0.0]])
    assert [d.name for d in diagnose(referee, records, [*among, CUBE], never)] == ["elsewhere", "cube"]
