"""Whatever a subject does, it has its own word in the report, its exit code, and what was gathered is kept."""

import json
import subprocess
from dataclasses import replace
from functools import partial

import pytest

from refgrad.conformance import verify
from refgrad.conformance.subject import process as subject
from refgrad.contracts.tools.answer import NotApplicable, Variant
from refgrad.errors import UsageError


def test_a_right_subject_conforms_and_the_report_counts_what_ran(judged):
    report = judged("right")
    assert (report.grade, report.exit_code) == ("exact", 0)
    assert report.outcomes == {"passed": report.ran}
    assert 0 < report.effective <= report.ran <= report.planned == 30
    assert report.isolation == "process"


@pytest.mark.parametrize(
    "name", ["of_floats", "boxed", "changes_its_input", "reads_input", "scaled_by", "closes_stdout"]
)
def test_lists_result_objects_and_changed_inputs_are_all_judged_by_their_numbers(judged, name):
    assert judged(name).exit_code == 0


def test_a_subject_that_forks_is_judged_by_one_answer_for_each_call(judged):
    report = judged("forks")
    assert (report.exit_code, report.outcomes) == (0, {"passed": report.ran})


def test_a_subject_that_writes_into_the_conversation_has_an_outcome_of_its_own(judged):
    report = judged("writes_into_the_conversation")
    assert (report.exit_code, report.outcomes) == (3, {"bad_reply": 3})
    assert "no answer" in report.errors[0]["message"]


def test_what_a_subject_prints_does_not_reach_the_conversation(judged):
    report = judged("prints_rubbish")
    assert (report.exit_code, report.outcomes) == (0, {"passed": report.ran})


@pytest.mark.parametrize(
    ("name", "outcome", "message"),
    [
        ("raises", "raised", "ValueError: no squares today (subjects/odd_subjects.py:"),
        ("leaves", "raised", "SystemExit: 7"),
        ("raises_what_cannot_be_read", "raised", "Unreadable: (its message cannot be read)"),
        ("takes_all_memory", "raised", "Cannot allocate memory"),
    ],
)
def test_a_subject_that_always_raises_could_not_be_run(judged, name, outcome, message):
    report = judged(name, backend="numpy")
    assert (report.grade, report.exit_code) == ("not-run", 3)
    assert report.outcomes == {outcome: report.ran}
    assert message in report.errors[0]["message"] or message in report.summary
    assert report.counterexample["inputs"] == {"x": [0.0]}


def test_a_subject_that_raises_on_some_problems_does_not_conform(judged):
    report = judged("raises_for_negatives")
    assert (report.grade, report.exit_code) == ("wrong", 1)
    assert report.outcomes["passed"] > 0
    assert report.outcomes["raised"] > 0
    assert report.counterexample["inputs"] == {"x": [-1.0]}
    assert report.counterexample["outcome"] == "raised"


@pytest.mark.parametrize(
    ("name", "outcome", "message"),
    [
        ("not_a_number", "not_finite", "NaN"),
        ("column", "wrong_shape", "expected shape (1,), got (1, 1)"),
        ("nothing", "not_an_array", "got NoneType"),
        ("text", "not_an_array", "got str"),
        ("masked", "not_an_array", "masked entries"),
        ("single", "wrong_dtype", "expected float64, got an array of float32"),
        ("complex_square", "wrong_dtype", "complex128"),
        ("random_square", "nondeterministic", "two calls on the same input gave"),
    ],
)
def test_a_result_that_cannot_be_judged_has_its_own_outcome_and_does_not_conform(judged, name, outcome, message):
    report = judged(name)
    assert (report.grade, report.exit_code) == ("wrong", 1)
    assert report.outcomes[outcome] > 0
    assert "failed" not in report.outcomes
    assert message in report.counterexample["message"]


def test_a_subject_that_does_not_repeat_itself_computes_no_formula(judged):
    report = judged("cube_and_random_if_long", max_examples=60)
    assert report.outcomes["failed"] > 0
    assert (report.grade, report.diagnosis) == ("wrong", None)
    assert "different numbers for the same input" in report.summary


@pytest.mark.parametrize("name", ["wrong_from_the_three_hundredth_call_on", "wrong_once_in_a_hundred"])
def test_what_is_wrong_late_or_seldom_is_seen_by_further_calls_that_cost_nothing(judged, name, all_calls):
    report = judged(name)
    assert (report.grade, report.exit_code) == ("wrong", 1)
    assert "the same input" in report.summary, report.summary


def test_an_agreement_with_every_formula_but_one_is_undecided(square):
    never = Variant("never", "none", "what has no answer here", (), partial(raising, NotApplicable("never")))
    report = verify("odd_subjects:right", replace(square, variants=(*square.variants, never)))
    assert (report.grade, report.exit_code) == ("inconclusive", 4)
    assert "from never" in report.summary


def raising(error, x):
    raise error


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf"), float("nan")])
def test_a_timeout_that_is_no_time_is_a_usage_error(judged, timeout):
    with pytest.raises(UsageError, match="finite timeout"):
        judged("right", timeout=timeout)


def test_float32_is_what_a_float32_contract_asks_for(judged):
    assert judged("single", dtype="float32").exit_code == 0


def test_three_crashes_in_a_row_end_the_run(judged):
    report = judged("kills_itself")
    assert (report.exit_code, report.ran, report.outcomes) == (3, 3, {"crashed": 3})
    assert "SIGKILL" in report.errors[0]["message"]


def test_three_timeouts_in_a_row_end_the_run_and_say_where_it_hung(judged, monkeypatch):
    monkeypatch.setattr(subject, "START_LIMIT", 4.0)  # which the first call has, and no later one of these
    report = judged("hangs", timeout=0.2)
    assert (report.exit_code, report.ran, report.outcomes) == (3, 3, {"timeout": 3})
    assert "in hangs" in report.errors[0]["message"]


def test_what_was_gathered_before_the_run_ended_is_kept(judged):
    report = judged("hangs_after_five", timeout=0.2)
    assert report.outcomes["passed"] >= 5
    assert report.outcomes["timeout"] >= 1
    assert report.exit_code == 1


@pytest.mark.parametrize(("name", "outcome"), [("kills_itself_for_two", "crashed"), ("hangs_once", "timeout")])
def test_a_dead_worker_is_restarted_and_the_run_goes_on(judged, name, outcome):
    report = judged(name, timeout=0.3)
    assert report.exit_code == 1
    assert report.outcomes[outcome] >= 1
    assert report.outcomes["passed"] >= 15
    assert report.counterexample["outcome"] == outcome
    assert report.counterexample["inputs"]["x"][0] == 2.0


def test_processes_that_a_subject_leaves_behind_end_with_it(judged):
    assert judged("leaves_a_child", max_examples=8).exit_code == 0
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "sleep 77.125" not in listed


@pytest.mark.parametrize(
    ("target", "outcome", "message"),
    [
        ("odd_subjects:rihgt", "not_found", "did you mean right?"),
        ("odd_subject:right", "not_found", "did you mean odd_subjects?"),
        ("odd_subjects:not_callable", "not_found", "cannot be called"),
        ("no/such/file.py:right", "not_found", "no file"),
    ],
)
def test_a_subject_that_does_not_exist_gives_a_report_with_what_is_close(square, target, outcome, message):
    report = verify(target, square)
    assert (report.grade, report.exit_code, report.ran) == ("not-run", 3, 0)
    assert report.outcomes == {outcome: 1}
    assert message in report.summary


@pytest.mark.parametrize(
    ("source", "outcome"),
    [
        ("import no_such_library_at_all", "import_failed"),
        ("def f(x) return x", "import_failed"),
        ("import sys; sys.exit(0)", "import_failed"),
        ("import os; os.abort()", "import_crashed"),
        ("while True: pass", "import_timeout"),
    ],
)
def test_a_subject_whose_import_fails_could_not_be_run(square, tmp_path, monkeypatch, source, outcome):
    monkeypatch.setattr(subject, "START_LIMIT", 1.5 if outcome == "import_timeout" else 60.0)
    file = tmp_path / "subject_file.py"
    file.write_text(source + "\n")
    report = verify(f"{file}:f", square)
    assert (report.exit_code, report.outcomes) == (3, {outcome: 1})


def test_nothing_ran_has_an_exit_code_of_its_own(judged):
    report = judged("right", max_examples=0)
    assert (report.grade, report.exit_code) == ("nothing-ran", 5)


@pytest.mark.parametrize("name", ["right", "raises", "kills_itself", "not_a_number", "cube", "rihgt"])
def test_the_json_report_has_the_promised_keys_for_every_outcome(judged, tmp_path, name):
    judged(name).to_json(tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())
    promised = "contract grade exit_code diagnosis planned ran effective outcomes counterexample regression_test seed"
    assert set(promised.split()) | {"isolation", "environment"} <= set(found)
