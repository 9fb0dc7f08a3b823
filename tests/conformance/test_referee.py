"""Truth, attainable error and the exact comparison of floats with both."""

from fractions import Fraction

import numpy as np
import pytest

from refgrad import contracts
from refgrad.accuracy import UNIT_ROUNDOFF
from refgrad.backend import of
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.numbers import ExactFramework, fractions
from refgrad.conformance.judging.precision import rounding_driven
from refgrad.conformance.judging.referee import Referee
from refgrad.contracts.contract import Contract, Problem
from refgrad.contracts.tools.answer import Answer, Variant
from refgrad.contracts.tools.terms import measured

U = UNIT_ROUNDOFF["float64"]
TINY = Fraction(1, 2**1074)


def contract(quantity, **more):
    return Contract(
        name="test",
        version="1.0",
        summary="",
        signature="subject(x)",
        returns="",
        references=(),
        problems={},
        arguments=lambda inputs, framework: (framework.array(inputs["x"]),),
        quantity=quantity,
        shape=lambda inputs: (len(inputs["x"]),),
        variants=(),
        **more,
    )


SQUARE = contract(lambda x: Answer(x * x, x * x))
PROBLEM = Problem("crisp", {"x": [3.0, 1.0]})


def test_the_attainable_error_of_a_square_is_its_response_to_the_inputs_plus_one_rounding_and_the_smallest_float():
    found = Referee(SQUARE).attainable(PROBLEM)
    up, down = (abs(9 * (1 + s * U) ** 2 - 9) + 9 * U + TINY for s in (1, -1))
    assert found in (up, down)


def test_the_attainable_error_scales_with_the_unit_roundoff():
    single, double = (Referee(SQUARE, d).attainable(PROBLEM) for d in ("float32", "float64"))
    assert 2**28 < single / double < 2**30


def test_the_sum_of_absolute_terms_keeps_the_attainable_error_off_zero_where_the_answer_is_zero():
    difference = contract(lambda x: Answer(x - x, abs(x) + abs(x)))
    assert Referee(difference).attainable(PROBLEM) == 6 * U + TINY


def test_a_true_zero_in_balls_is_enclosed_at_the_scale_of_its_terms():
    def nothing(x):
        e = of(x).exp(x)
        return Answer(e - of(x).exp(1 * x), e)

    truth = Referee(contract(nothing)).truth(PROBLEM)
    assert truth is not None
    assert not truth.exact
    assert max(abs(v) for v in (*truth.low, *truth.high)) < Fraction(1, 2**60)


def test_the_error_of_a_float_has_no_rounding_at_all():
    third = contract(lambda x: Answer(x / 3, x / 3))
    low, high = Referee(third).error(Problem("crisp", {"x": [1.0]}), fractions(np.array([1 / 3])))
    assert low == high == abs(Fraction(1 / 3) - Fraction(1, 3)) != 0


def test_an_error_of_31_times_the_attainable_one_fails_and_of_29_passes():
    referee = Referee(contract(lambda x: Answer(x, 0 * x + 2**20)))
    problem = Problem("crisp", {"x": [0.0]})
    attainable = referee.attainable(problem)
    assert attainable == 2**20 * U + TINY
    verdicts = {n: referee.judge(problem, np.array([float(n * attainable)])) for n in (29, 31, 1499, 1501)}
    assert {n: v.verdict for n, v in verdicts.items()} == {29: "passed", 31: "failed", 1499: "failed", 1501: "failed"}
    assert {n: v.clear for n, v in verdicts.items()} == {29: False, 31: False, 1499: False, 1501: True}


@pytest.mark.parametrize(("dtype", "kind"), [("float32", np.float32), ("float64", np.float64)])
def test_only_the_nearest_float_counts_as_correctly_rounded(dtype, kind):
    referee = Referee(contract(lambda x: Answer(x / 3, abs(x))), dtype)
    problem = Problem("crisp", {"x": [1.0]})
    nearest = kind(1) / kind(3)
    for value, rounded in (
        (nearest, True),
        (np.nextafter(nearest, kind(1)), False),
        (np.nextafter(nearest, kind(0)), False),
    ):
        judgement = referee.judge(problem, np.array([float(value)]))
        assert (judgement.verdict, judgement.rounded) == ("passed", rounded)


def test_an_error_of_its_own_takes_the_place_of_the_distance():
    parity = contract(
        lambda x: Answer(x, abs(x)),
        error=lambda arguments, y: abs(of(y).sum(y, (0,), False) - of(y).sum(arguments[0], (0,), False)),
        unit=lambda arguments: Answer(of(arguments[0]).sum(arguments[0], (0,), False), 0 * arguments[0][0] + 4),
    )
    referee = Referee(parity)
    assert referee.judge(PROBLEM, np.array([1.0, 3.0])).verdict == "passed"
    assert referee.judge(PROBLEM, np.array([1.0, 3.5])).low == Fraction(1, 2)


def test_perturbed_inputs_are_the_problem_times_one_plus_or_minus_u():
    import random

    moved = ExactFramework(Fraction(1, 8), random.Random(0)).array([[8.0] * 20])
    assert {int(v.numerator) for v in moved.data.ravel()} == {7, 9}


def test_an_input_that_is_not_a_number_has_no_truth():
    assert Referee(contract(lambda x: Answer(1 / x, 1 / x))).truth(Problem("crisp", {"x": [0.0]})) is None


@pytest.mark.parametrize(
    ("pairs", "answer"),
    [([(2.0**-24, 2.0**-53)] * 3, True), ([(0.1, 0.1)] * 3, False), ([], False), ([(1e-3, 0.0)], True)]
    + [([(2.0**-24, 2.0**-53)] * 3 + [(0.1, 0.1)], False)],
)
def test_the_two_precision_test_tells_rounding_from_method(pairs, answer):
    assert rounding_driven([(Fraction(a), Fraction(b)) for a, b in pairs]) is answer


@pytest.mark.parametrize(
    "name",
    [
        "sign-flipped-with-inner-not-solved",
        "sign-flipped-with-cg-stale-iterate",
        "indirect-sign-flipped-with-cg-scale-mismatch",
    ],
)
def test_floats_rule_out_no_formula_where_they_lose_its_digits(name):
    known = contracts.get("hypergradient")
    referee, (formula,) = Referee(known), [v for v in known.products() if v.name == name]
    for problem in sweep.problems(known, 25, 0):
        truth = referee.truth(problem, formula)
        if truth is not None:
            assert referee.plausible(problem, truth.middle.astype(float), formula), problem


def test_an_answer_too_small_for_a_float_is_met_by_zero():
    double = Variant("doubled", "", "", (), lambda x: Answer(2 * x**5, 2 * x**5))
    problem = Problem("crisp", {"x": [2.0**-300]})  # its fifth power is no float
    assert Referee(contract(lambda x: Answer(x**5, x**5))).matches(problem, np.zeros(1), double) is True


def test_a_nearly_singular_matrix_is_allowed_its_condition_on_every_seed():
    inverse, _ = contracts.get("operator_derivative").choose({"op": "inv", "order": 1})
    x, u = [[1.0, 1.0], [1.0, 1.0 + 2.0**-30]], [[1.0, 0.0], [0.0, 2.0]]
    problem = Problem("wide", {"op": "inv", "order": 1, "x": x, "memory": "C", "u": u})
    for seed in range(40):
        referee = Referee(inverse, "float64", seed)
        size = max(map(abs, referee.truth(problem).middle))
        assert referee.attainable(problem) > 2.0**-30 * size, seed  # the condition number is 2^32


def test_a_formula_whose_truth_rounding_decides_is_met_by_what_floats_give():
    formula = Variant("pole", "", "", (), measured(lambda x: 1 / (x * x - 2)))
    x = np.sqrt(2)
    floats = 1 / (x * x - 2)  # which is two thirds of the truth
    referee = Referee(contract(lambda x: Answer(x, x)))
    problem = Problem("crisp", {"x": [float(x)]})
    assert referee.matches(problem, np.array([floats]), formula) is True
    assert referee.matches(problem, np.array([1.0]), formula) is False


@pytest.mark.parametrize("name", ["maml_gradient", "hypergradient", "hvp"])
def test_the_worst_ratio_is_the_largest_of_all(name):
    contract = contracts.get(name)
    referee, rng, judged = Referee(contract), np.random.default_rng(0), []
    for problem in sweep.problems(contract, 40, 0):
        truth = referee.truth(problem)
        if truth is None:
            continue
        right = truth.middle.astype(float).reshape(contract.shape(problem.inputs))
        # of one to two attainable errors: what is largest beside the floor is not what is largest in these units
        units = (1 + rng.random()) * float(referee.attainable(problem))
        judged.append((problem, referee.judge(problem, right + units * np.sign(rng.standard_normal(right.shape)))))
    worst = Referee(contract).worst_ratio(judged)
    assert worst == max(referee.ratio(problem, judgement) for problem, judgement in judged) > 0
