"""Grades and diagnoses, each on a subject that was written to deserve it."""

import functools
import runpy
import sys

import numpy as np
import pytest

from refgrad.conformance import assert_conforms, verify
from refgrad.conformance.judging.run import REPEATED
from refgrad.errors import UsageError


def test_a_variant_is_named_with_its_evidence_and_a_smallest_input(judged):
    report = judged("cube")
    assert (report.grade, report.exit_code, report.diagnosis) == ("variant:cube", 1, "cube")
    (candidate,) = report.candidates
    assert candidate["reproduces"] == candidate["failures"] >= 3
    assert report.counterexample["inputs"] == {"x": [-1.0]}
    assert (report.counterexample["got"], report.counterexample["expected"]) == ([-1.0], ["1"])


def test_a_variant_that_is_no_rational_number_is_named_too(judged):
    assert judged("exponential").diagnosis == "exponential"


def test_a_formula_that_passing_problems_speak_against_is_not_named(judged):
    report = judged("cube_of_negatives")
    assert (report.grade, report.diagnosis) == ("wrong", None)
    assert report.candidates[0]["contradicted"] > 0
    assert "cube" in report.summary


def test_a_constant_factor_is_measured(judged):
    report = judged("twice")
    assert (report.grade, report.exit_code, report.diagnosis) == ("variant:scaled", 1, "scaled")
    assert "2 times" in report.summary


def test_a_factor_that_is_not_constant_is_not_called_one(judged):
    assert judged("twice_if_long").grade == "wrong"


@pytest.mark.parametrize("factor", [0.5, 3.0, -1.0])
def test_params_are_passed_as_keywords(judged, factor):
    report = judged("scaled_by", params={"factor": factor})
    assert report.diagnosis == "scaled"
    assert report.environment["params"] == {"factor": factor}


def test_the_right_formula_with_cancellation_is_unstable(judged):
    report = judged("cancelling")
    assert (report.grade, report.exit_code) == ("unstable", 1)
    assert report.numbers["worst_ratio"] > 1e4


def test_a_small_error_of_the_method_is_borderline(judged):
    report = judged("slightly_off", dtype="float32")
    assert (report.grade, report.exit_code) == ("borderline", 4)
    assert 30 < report.numbers["worst_ratio"] < 1500


def test_something_else_is_wrong_without_a_name(judged):
    report = judged("plus_sine")
    assert (report.grade, report.exit_code, report.diagnosis) == ("wrong", 1, None)
    assert report.counterexample["inputs"] in ({"x": [1.0]}, {"x": [-1.0]})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_another_right_formula_is_accurate_in_both_precisions(judged, dtype):
    report = judged("right_by_power", dtype=dtype)
    assert (report.grade, report.exit_code) == ("accurate", 0)
    assert 0 < report.numbers["worst_ratio"] <= 30


def test_equal_seeds_give_equal_reports(judged):
    assert judged("cube", seed=3).as_dict() == judged("cube", seed=3).as_dict()


def test_the_regression_test_fails_for_the_subject_and_passes_for_a_right_one(judged, tmp_path):
    report = judged("cube")
    assert "refgrad" not in "".join(line for line in report.regression_test.splitlines() if "import" in line)
    (tmp_path / "kept.py").write_text(report.regression_test)
    kept = runpy.run_path(str(tmp_path / "kept.py"))["test_cube_computes_the_square"]
    with pytest.raises(AssertionError):
        kept()
    (tmp_path / "fixed.py").write_text(report.regression_test.replace("import cube as", "import right as"))
    runpy.run_path(str(tmp_path / "fixed.py"))["test_cube_computes_the_square"]()


def test_a_closure_runs_in_this_process_and_the_report_says_so(square):
    calls = []

    def closure(x):
        calls.append(x)
        return x * x

    report = verify(closure, square, max_examples=10)
    assert (report.exit_code, report.isolation, report.ran) == (0, "none", 10)
    assert len(calls) == report.numbers["calls"] == 10 + 2 * REPEATED
    assert report.regression_test is None


def test_a_function_of_a_module_goes_to_a_child_process_by_name(square):
    import odd_subjects

    report = verify(odd_subjects.cube, square, max_examples=20)
    assert (report.isolation, report.target, report.diagnosis) == ("process", "odd_subjects:cube", "cube")


def test_a_partial_function_runs_in_this_process(square):
    import odd_subjects

    report = verify(functools.partial(odd_subjects.scaled_by, factor=2.0), square, max_examples=20)
    assert (report.isolation, report.diagnosis) == ("none", "scaled")


def test_assert_conforms_shows_the_report(square):
    assert_conforms(lambda x: x * x, square, max_examples=20)
    with pytest.raises(AssertionError, match="variant:cube"):
        assert_conforms(lambda x: x**3, square, max_examples=20)


def test_every_call_of_the_subject_is_counted(square):
    calls = []

    def cube(x):
        calls.append(x)
        return x**3

    assert verify(cube, square, max_examples=20).numbers["calls"] == len(calls)


@pytest.mark.parametrize(
    "options",
    [
        {"backend": "tensorflow"},
        {"dtype": "float16"},
        {"max_examples": -1},
        {"timeout": 0.0},
        {"promise": {"gap": 1e-3}},
        {"vary": {"steps": [1, 2, 3]}},
    ],
)
def test_options_that_do_not_fit_are_usage_errors(square, options):
    with pytest.raises(UsageError):
        verify(lambda x: x * x, square, **options)


def test_params_that_are_no_plain_data_are_a_usage_error(square):
    with pytest.raises(UsageError, match="JSON"):
        verify("odd_subjects:scaled_by", square, params={"factor": np.ones(2)})


@pytest.mark.parametrize("target", ["odd_subjects", "odd_subjects.py", ":right", "odd_subjects:", 3])
def test_a_target_without_a_function_is_a_usage_error(square, target):
    with pytest.raises(UsageError, match="expected a"):
        verify(target, square)


def test_the_text_of_a_report_shows_grade_input_result_and_truth(judged):
    text = str(judged("cube"))
    for part in (
        "variant:cube   (exit 1)",
        "x = [-1]",
        "returned  [-1]",
        "exact     [1]",
        "effective",
        "def test_cube",
    ):
        assert part in text


def test_the_numbers_of_a_subject_are_compared_without_rounding(square):
    one_bit = verify(lambda x: np.where(x == 0, 0.0, np.nextafter(x * x, np.inf)), square, max_examples=10)
    assert one_bit.grade == "accurate"
    assert verify(lambda x: x * x, square, max_examples=10).grade == "exact"
    assert sys.float_info.mant_dig == 53
