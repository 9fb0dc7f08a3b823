"""Verdicts on a contract with wide problems: what a pass covers, what a failure has in common, what a run refuses."""

import inspect
import time

import numpy as np
import pytest
from helpers.subjects import FOLDER, load
from helpers.subjects import verdict as judged
from sized_contract import PATH

from refgrad import contracts
from refgrad.conformance.judging import sweep
from refgrad.conformance.judging.referee import Referee
from refgrad.conformance.judging.run import Run
from refgrad.conformance.judging.shrink import likely
from refgrad.conformance.subject.process import LocalSubject
from refgrad.conformance.verification import verify

pytest.importorskip("flint", reason="wide problems are judged by balls, which need python-flint")


def right(theta, x, lr, steps):
    return theta + steps * lr * x


def report(function, **options):
    return verify(lambda *arguments, **keywords: function(*arguments, **keywords), PATH, backend="numpy", **options)


def test_a_pass_says_what_it_covered():
    found = report(right)
    assert found.exit_code == 0
    assert found.covered == {"steps": [1, 6], "parameters": [1, 8], "lr": ["negative", "positive", "zero"]}
    assert "covered: steps 1 to 6, parameters 1 to 8, lr negative, positive, zero" in str(found)


@pytest.mark.parametrize("seed", range(5))
def test_what_is_wrong_at_large_sizes_alone_fails_and_the_report_says_where(seed):
    found = report(lambda theta, x, lr, steps: right(theta, x, lr, min(steps, 4)), seed=seed)
    assert found.grade == "wrong"
    assert "with steps" in found.summary, found.summary


def test_a_formula_that_fits_a_part_is_named_with_the_part_and_what_it_leaves():
    def function(theta, x, lr, steps):
        if steps == 2:
            return right(theta, x, lr, 1)
        return right(theta, x, lr, steps) if steps < 5 else np.full_like(theta, 0.125)

    found = report(function)
    assert found.grade == "wrong"
    assert "computes one-step-fewer on the" in found.summary
    assert "with steps = 2" in found.summary
    assert "the largest relative error is" in found.summary


def test_two_deviations_are_named_as_a_product():
    found = report(lambda theta, x, lr, steps: theta + 2 * (steps - 1) * lr * x)
    assert found.diagnosis == "one-step-fewer-with-doubled"


@pytest.mark.parametrize(
    ("factor", "name"),
    [
        (lambda x, steps: 3, "3"),
        (lambda x, steps: 1 / len(x), "1/parameters"),
        (lambda x, steps: steps, "steps"),
        (lambda x, steps: steps**2, "steps^2"),
    ],
)
def test_a_factor_made_of_a_size_is_found(factor, name):
    found = report(lambda theta, x, lr, steps: factor(x, steps) * right(theta, x, lr, steps))
    assert found.diagnosis == "scaled", found.summary
    assert f"computes {name} times what the contract says" in found.summary


def test_a_factor_on_a_variant_is_found():
    found = report(lambda theta, x, lr, steps: steps * lr * x / len(x))
    assert found.diagnosis == "1/parameters times move", found.summary


def test_single_precision_inside_is_said():
    found = report(lambda *given: right(*[np.float32(a) for a in given[:3]], given[3]).astype(np.float64))
    assert (found.grade, found.exit_code) == ("variant:single-precision", 1)
    found = report(lambda theta, x, lr, steps: right(*map(np.float32, (theta, x, lr)), steps - 1).astype(np.float64))
    assert found.diagnosis == "one-step-fewer"
    assert "in single precision" in found.summary


def test_an_error_as_small_as_that_of_single_precision_is_none_where_most_outputs_are_right():
    _, found = judged(FOLDER / "wrong/operator_derivative/tanh_saturated.py", 0, 100)
    assert found.grade == "wrong", found


def test_errors_of_the_size_of_single_precision_in_numbers_that_it_does_not_hold_are_something_else():
    found = report(lambda theta, x, lr, steps: right(theta, x, lr, steps) * (1 + 2.0**-24))
    assert found.diagnosis is None, found.summary


@pytest.mark.parametrize("seed", range(3))
def test_a_few_small_errors_are_no_difference_of_gradients_whose_rounding_would_show_everywhere(seed):
    _, found = judged(FOLDER / "wrong/hvp/moves_zeros.py", seed, 100)
    assert (found.grade, found.diagnosis, found.candidates) == ("wrong", None, []), found


@pytest.mark.parametrize("seed", range(3))
def test_a_difference_of_gradients_has_its_name_though_its_step_fits_not_every_scale(seed):
    _, found = judged(FOLDER / "wrong/hvp/central_difference.py", seed, 100)
    assert "central-difference-of-gradients" in found.summary, found
    assert found.candidates[0].name.startswith("central-difference-of-gradients"), found


def test_few_failures_on_wide_problems_alone_are_sought_again_for_what_they_have_in_common():
    found = report(lambda theta, x, lr, steps: right(theta, x, lr, steps - (steps >= 4)))
    assert found.planned > 100
    assert "all of them with steps >= 4" in found.summary, found.summary


def test_formulas_that_a_small_failure_rules_out_are_not_tried_on_wide_problems():
    products = {v.name: v for v in PATH.products()}
    wanted = products["one-step-fewer-with-doubled"]

    def function(theta, x, lr, steps):
        return theta + 2 * (steps - 1) * lr * x if steps > 4 else right(theta, x, lr, steps)

    subject = LocalSubject(PATH, "function", "numpy", "float64", function=function)
    run = Run(subject, Referee(PATH), 100, 0)
    run.sweep()
    failing = [r for r in run.records if r.judgement.verdict == "failed" and r.problem.kind == "wide"]
    left = likely(run, failing, list(products.values()))
    assert wanted in left
    assert len(left) < len(products)
    assert list(likely(run, run.records, list(products.values()))) == list(products.values())


def test_a_property_that_some_problems_have_not_tells_no_group_from_another():
    # an element of a matrix, infinities among the numbers of a vector
    _, found = judged(FOLDER / "wrong/operator_derivative/exp_clipped_at_ten.py", 0, 100)
    assert found.grade == "wrong", found


def test_a_group_that_is_refused_is_said_and_strict_makes_it_a_failure():
    def refusing(theta, x, lr, steps):
        if lr <= 0:
            raise ValueError("lr must be positive")
        return right(theta, x, lr, steps)

    found = report(refusing)
    assert (found.exit_code, found.refuses) == (0, "lr negative or zero")
    strict = report(refusing, strict=True)
    assert strict.grade == "wrong"
    assert "raises on" in strict.summary
    assert "lr negative or zero" in strict.summary


def test_what_takes_equal_sizes_alone_is_right_on_them_and_told_from_all_that_differs_there():
    names: dict = {}
    exec(contracts.get("maml_gradient").example, names)
    (example,) = filter(inspect.isfunction, names.values())

    def stacked(loss, theta, tasks, lr, steps):
        for place in (0, 1):
            np.stack([task[place][0] for task in tasks])
        return example(loss, theta, tasks, lr, steps)

    found = verify(stacked, "maml_gradient", backend="numpy")
    assert (found.grade, found.exit_code, found.refuses) == ("accurate", 0, "sizes unequal"), found.summary
    assert "weighted-by-support-size" in found.summary
    assert "last-three-steps-only" not in found.summary


def test_raising_at_large_sizes_is_no_refusal():
    def raising(theta, x, lr, steps):
        if steps > 5:
            raise ValueError("too long")
        return right(theta, x, lr, steps)

    found = report(raising)
    assert (found.grade, found.refuses) == ("wrong", "")
    assert "those with steps = 6" in found.summary


def test_raising_beside_wrong_numbers_is_said_as_well():
    def both(theta, x, lr, steps):
        if len(x) > 6:
            raise ValueError("too long")
        return right(theta, x, lr, steps - 1)

    found = report(both)
    assert found.diagnosis == "one-step-fewer"
    assert "it also raises on" in found.summary


def test_the_last_bit_is_no_difference_between_two_calls():
    calls = []

    def noisy(theta, x, lr, steps):
        calls.append(0)
        return right(theta, x, lr, steps - 1) * (1 + 2.0**-52 * (len(calls) % 2))

    assert report(noisy).diagnosis == "one-step-fewer"


def test_different_numbers_for_the_same_input_are_a_difference():
    calls = []

    def random(theta, x, lr, steps):
        calls.append(0)
        return right(theta, x, lr, steps) * (1 + 0.1 * (len(calls) % 2))

    assert report(random).outcomes.get("nondeterministic")


@pytest.mark.parametrize("after", [1, 60])
def test_state_between_calls_is_seen(after):
    seen = {}

    def remembering(theta, x, lr, steps):
        key = (theta.tobytes(), x.tobytes(), lr, steps)
        seen[key] = seen.get(key, 0) + 1
        late = seen[key] > 1 if after == 1 else len(seen) > after
        return right(theta, x, lr, steps) * (2 if late and seen[key] > 1 else 1)

    found = report(remembering)
    assert found.grade == "wrong"
    assert "keeps state between calls" in found.summary


LATE = """
import sys
sys.path.append({folder!r})
from plain import subject as right

calls = 0

def subject(*given):
    global calls
    calls += 1
    return right(*given) * (calls < 300)
"""


def test_what_is_wrong_after_hundreds_of_calls_is_seen_by_further_ones(tmp_path, all_calls):
    path = tmp_path / "wrong_late.py"
    path.write_text(LATE.format(folder=str(FOLDER / "right" / "fomaml_gradient")))
    found = verify(f"{path}:subject", "fomaml_gradient")
    assert found.grade == "wrong", found.summary
    assert "keeps state between calls" in found.summary
    assert found.numbers["calls"] < 300  # of which the report counts those of the problems alone


def test_a_convention_is_declared_by_a_param_and_the_report_says_so():
    move = lambda theta, x, lr, steps: steps * lr * x
    found = report(move)
    assert found.diagnosis == "move"
    assert 'params={"output": "move"}' in found.advice
    assert report(move, params={"output": "move"}).exit_code == 0
    with pytest.raises(ValueError, match="one of path, move"):
        report(move, params={"output": "both"})


def test_a_budget_ends_the_run_and_grades_what_ran():
    def slow(theta, x, lr, steps):
        time.sleep(0.2)
        return right(theta, x, lr, steps)

    found = report(slow, budget=8)
    assert (found.grade, found.exit_code) == ("inconclusive", 4)
    assert 0 < found.ran < found.planned
    assert "--budget" in found.advice


def test_an_interrupted_run_leaves_a_report():
    calls = []

    def interrupting(theta, x, lr, steps):
        calls.append(0)
        if len(calls) == 10:
            raise KeyboardInterrupt
        return right(theta, x, lr, steps)

    found = report(interrupting)
    assert (found.grade, found.exit_code, found.ran) == ("interrupted", 130, 9)


def test_the_smallest_input_of_a_failure_at_large_sizes_is_small_and_readable():
    found = report(lambda theta, x, lr, steps: right(theta, x, lr, min(steps, 4)))
    inputs = found.counterexample["inputs"]
    assert inputs["steps"] == 5
    assert len(inputs["x"]) == 1
    assert all(v == int(v) for v in inputs["x"])


def test_problems_for_float32_are_exact_in_it():
    for problem in sweep.problems(PATH, 60, 0, dtype="float32"):
        numbers = [*problem.inputs["x"], *problem.inputs["theta"], problem.inputs["lr"]]
        assert all(float(np.float32(v)) == v for v in numbers)


@pytest.mark.parametrize("seed", range(3))
def test_every_variant_is_told_apart_in_every_run(seed):
    referee = Referee(PATH, "float64", seed)
    problems = list(sweep.problems(PATH, 100, seed))
    for variant in PATH.variants:
        assert sum(referee.differs(p, variant) for p in problems) >= 2


def test_more_problems_are_run_while_a_variant_has_not_been_told_apart():
    subject = LocalSubject(PATH, "right", "numpy", "float64", function=right)
    run = Run(subject, Referee(PATH), 1, 0)  # the first problem is all zeros, on which the formulas agree
    run.sweep()
    assert run.candidates.remaining == []
    assert run.planned > 1


def sampled(theta, x, lr, steps):
    return right(theta, x, lr, steps) + np.random.standard_normal(len(x))


def test_the_mean_of_random_calls_is_judged_within_its_own_error():
    found = report(sampled, stochastic=400)
    assert (found.grade, found.exit_code) == ("accurate", 0), found.summary
    assert "mean of 400 calls" in found.summary


def test_a_random_subject_with_another_mean_is_named():
    found = report(lambda theta, x, lr, steps: sampled(theta, x, 2 * lr, steps) * 1.0, stochastic=400)
    assert found.diagnosis == "doubled", found.summary


def test_a_formula_within_coarse_means_is_said_and_no_group_of_problems():
    def noisy(theta, x, lr, steps):
        answer = right(theta, x, 2 * lr, steps)
        return answer + np.abs(answer - right(theta, x, lr, steps)) * np.random.standard_normal(len(x))

    def report_of(calls):
        found = report(noisy, stochastic=calls)
        return found.grade, found.exit_code, found.summary, found.advice

    coarse, finer, fine = (report_of(calls) for calls in (10, 40, 200))
    assert coarse[:2] == ("inconclusive", 4), coarse  # 80 calls where it fails: 9 standard errors apart
    assert finer[:2] == ("wrong", 1), finer  # 18
    for found, calls in ((coarse, 100), (finer, 400)):
        assert "within 5 of doubled, which is too coarse to name it" in found[2]
        assert "those with" not in found[2]
        assert f"--stochastic {calls}" in found[3]
    assert fine[0] == "variant:doubled", fine


def test_a_random_subject_without_the_option_gives_other_numbers_and_keeps_no_state():
    rng = np.random.default_rng(0)  # not seeded by the judge before each call
    found = report(lambda theta, x, lr, steps: right(theta, x, lr, steps) + rng.integers(2, size=len(x)))
    assert found.grade == "wrong"
    assert "returns different numbers for the same input" in found.summary


def test_what_is_drawn_too_seldom_is_no_failure_where_nearly_all_means_are_right():
    def seldom(theta, x, lr, steps):
        draw = sampled(theta, x, lr, steps)
        return draw - 10**6 * (steps == 6 and len(x) == 8) * (np.random.random() > 1e-12)

    found = report(seldom, stochastic=40)
    assert (found.grade, found.exit_code) == ("inconclusive", 4), found.summary
    assert "drawn too seldom" in found.summary


def test_a_generator_that_is_seeded_in_every_call_is_said():
    def seeded(theta, x, lr, steps):
        np.random.seed(0)
        return sampled(theta, x, lr, steps)

    found = report(seeded, stochastic=10)
    assert found.grade == "wrong"
    assert "gave the same numbers" in found.summary


def test_a_formula_that_fits_most_of_a_part_is_named_and_not_a_special_case_of_it():
    # doubled on most, which for one parameter is what swapping would give as well
    found = report(lambda theta, x, lr, steps: right(theta, x, (2 if x[0] >= 0 or len(x) == 1 else 3) * lr, steps))
    assert "computes doubled on" in found.summary, found.summary


def test_a_function_that_returns_zero_is_named_though_it_calls_nothing():
    from refgrad import contracts

    found = verify(lambda loss, theta, tasks, lr, steps: 0 * theta, contracts.get("maml_gradient"), backend="numpy")
    assert (found.grade, found.exit_code) == ("variant:zero", 1), found.summary


def test_a_spread_needs_calls_to_be_measured():
    with pytest.raises(ValueError, match="at least 10"):
        report(sampled, stochastic=3)


@pytest.mark.parametrize("rate", [0.1, -0.25])
def test_parameters_after_a_step_are_told_with_the_rate_of_the_step(rate):
    found = report(lambda theta, x, lr, steps: theta - rate * right(theta, x, lr, steps))
    assert found.grade == "wrong"
    assert f"theta {'minus' if rate > 0 else 'plus'} {abs(rate):g} times {PATH.name}" in found.summary
    assert "Return the gradient" in found.advice
    found = report(lambda theta, x, lr, steps: theta - rate * right(theta, x, 2 * lr, steps))
    assert f"{abs(rate):g} times doubled" in found.summary
    found = report(lambda theta, x, lr, steps: theta - rate * right(theta, x, lr, steps) * (1 + 0.01 * theta))
    assert "times" not in found.summary, found.summary


def test_a_function_of_this_process_is_asked_again_in_python_and_one_of_a_file_by_a_command():
    path = FOLDER / "right" / "fomaml_gradient" / "plain.py"
    mean = load(path).subject
    summed = {"max_examples": 20, "params": {"reduction": "sum"}}
    for subject, first_order, convention in (
        (
            lambda *given: mean(*given),
            'refgrad.verify(<lambda>, "fomaml_gradient")',
            'refgrad.verify(<lambda>, "fomaml_gradient", params={"reduction": "mean"})',
        ),
        (
            f"{path}:subject",
            f"refgrad verify {path}:subject --contract fomaml_gradient",
            f"refgrad verify {path}:subject --contract fomaml_gradient --param reduction=mean",
        ),
    ):
        assert verify(subject, "maml_gradient", max_examples=20).advice.splitlines()[-1] == first_order
        assert verify(subject, "fomaml_gradient", **summed).advice.splitlines()[-1] == convention
