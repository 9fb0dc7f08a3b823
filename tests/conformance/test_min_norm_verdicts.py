"""Iterative subjects under ``min_norm``: a measured rate, a promise, and neither."""

import numpy as np
import pytest

from refgrad import multitask
from refgrad.conformance import verify
from refgrad.errors import UsageError


def frank_wolfe(J, max_iters=100):
    """Frank-Wolfe with exact line search on the Gram matrix."""
    gram = J @ J.T
    weights = np.full(len(J), 1 / len(J))
    for _ in range(max_iters):
        products = gram @ weights
        k = int(np.argmin(products))
        level = weights @ products
        length = level - 2 * products[k] + gram[k, k]
        if level <= products[k] or length <= 0:
            break
        step = min(1.0, (level - products[k]) / length)
        weights = (1 - step) * weights
        weights[k] += step
    return weights


def stuck(J, max_iters=100):
    """Equal weights with a little of the shortest gradient, whatever the number of iterations."""
    weights = np.full(len(J), 0.98 / len(J))
    weights[int(np.argmin((J * J).sum(axis=1)))] += 0.02
    return weights


def clamped(J, max_iters=100):
    from refgrad.conformance.demo.clamped_min_norm import min_norm

    return min_norm(J)


def infeasible(J):
    from refgrad.conformance.demo.clamped_min_norm import min_norm

    return 1.01 * min_norm(J)


def nearly(J):
    """Optimal weights, a billionth of them moved."""
    weights = exact_weights(J)
    if len(weights) > 1:
        largest = int(np.argmax(weights))
        weights[largest] -= 1e-9
        weights[largest - 1] += 1e-9
    return weights


def exact_weights(J):
    from refgrad import exact

    return np.array([float(q) for q in exact.to_fractions(multitask.min_norm(exact.asarray(J.tolist())).weights)])


def equal_weights(J):
    return [1 / len(J)] * len(J)


def clamped_else_equal(J):
    return clamped(J) if len(J) == 2 else np.full(len(J), 1 / len(J))


def fails_with_few_iterations(J, max_iters=100):
    if max_iters < 100:
        raise ValueError("too few")
    return frank_wolfe(J, max_iters)


def normalised_direction(J):
    units = J / np.maximum(np.sqrt((J * J).sum(axis=1)), 1e-300)[:, None]
    return exact_weights(units) @ units


SETTINGS = {"max_iters": [10, 100, 1000]}


def test_frank_wolfe_converges_at_a_measured_rate():
    report = verify(frank_wolfe, "min_norm", vary=SETTINGS, seed=1)
    assert (report.grade, report.exit_code) == ("converging", 0)
    assert report.certificate["rate"]["worst"] < -0.5
    assert report.certificate["rate"]["median"] < -0.5
    assert [row["value"] for row in report.certificate["settings"]] == SETTINGS["max_iters"]
    assert report.certificate["scale"] == "max |g_i|^2"


def test_frank_wolfe_without_a_knob_or_a_promise_is_undecided_and_the_advice_says_what_to_type():
    report = verify(frank_wolfe, "min_norm", max_examples=60)
    assert (report.grade, report.exit_code) == ("inconclusive", 4)
    assert "--vary max_iters=100,1000,10000" in report.advice
    assert "--promise gap=" in report.advice


@pytest.mark.parametrize(("bound", "grade", "code"), [(0.2, "converging", 0), (1e-9, "wrong", 1)])
def test_a_promise_is_held_or_broken(bound, grade, code):
    report = verify(frank_wolfe, "min_norm", max_examples=40, promise={"gap": bound})
    assert (report.grade, report.exit_code) == (grade, code)
    assert report.certificate["promise"] == bound


def test_a_knob_that_changes_nothing_is_no_convergence():
    report = verify(stuck, "min_norm", vary=SETTINGS)
    assert report.exit_code == 1
    assert report.grade in ("wrong", "unstable")


def test_a_named_variant_is_tried_before_convergence():
    report = verify(clamped, "min_norm", vary=SETTINGS, promise={"gap": 0.5})
    assert report.grade == "variant:clamp-0.999"


def test_weights_that_do_not_sum_to_one_are_no_min_norm_weights():
    report = verify(infeasible, "min_norm", max_examples=40)
    assert report.exit_code in (1, 4)
    assert report.outcomes["passed"] == 0 if "passed" in report.outcomes else True


@pytest.mark.parametrize(
    "options",
    [{"vary": {"max_iters": [1, 2]}}, {"vary": {"a": [1, 2, 3], "b": [1, 2, 3]}}, {"promise": {"residual": 1e-3}}],
)
def test_options_that_do_not_fit_the_certificate_are_usage_errors(options):
    with pytest.raises(UsageError, match="expected"):
        verify(frank_wolfe, "min_norm", **options)


@pytest.mark.parametrize(
    "options",
    [
        {"vary": {"max_iters": [100, 100, 100]}},
        {"vary": {"max_iters": [1, 2, float("nan")]}},
        {"promise": {"gap": 0.0}},
        {"promise": {"gap": float("inf")}},
    ],
)
def test_a_rate_or_a_promise_that_says_nothing_is_a_usage_error(options):
    with pytest.raises(UsageError, match="finite"):
        verify(frank_wolfe, "min_norm", **options)


def test_a_promise_that_most_formulas_keep_proves_nothing():
    report = verify(stuck, "min_norm", max_examples=40, promise={"gap": 10.0})
    assert (report.grade, report.exit_code) == ("inconclusive", 4)
    assert "too wide" in report.summary


def test_trouble_at_one_setting_is_not_undone_by_the_next():
    report = verify(fails_with_few_iterations, "min_norm", vary=SETTINGS)
    assert report.exit_code not in (0, 4)
    assert report.outcomes["raised"] > 0


def test_problems_are_added_until_a_formula_that_agreed_so_far_is_put_to_the_test():
    here = lambda J: clamped_direction(J)  # a process of its own may not import the contracts
    report = verify(here, "mgda_direction", max_examples=10, seed=2, backend="numpy")
    assert report.planned > 10
    assert report.diagnosis == "clamp-0.999"


def clamped_direction(J):
    return clamped(J) @ J if len(J) == 2 else exact_weights(J) @ J


def test_a_formula_for_two_tasks_is_said_to_explain_no_more_than_it_does():
    report = verify(clamped_else_equal, "min_norm", max_examples=40)
    (found,) = report.candidates
    assert found["silent"] > found["reproduces"]
    assert f"on the {found['reproduces']} of {found['failures']} failing problems" in report.summary


def test_the_direction_of_normalised_gradients_is_named_at_any_rounding():
    report = verify(normalised_direction, "mgda_direction", max_examples=40)
    assert report.grade == "variant:normalised-direction"


@pytest.mark.parametrize("name", ["nearly", "equal_weights"])
def test_the_regression_test_fails_on_what_was_found_and_passes_on_the_right_weights(name):
    # the promise makes a verdict of what would else be left open; 1e-14 is far above what rounding leaves
    report = verify(f"{__name__}:{name}", "min_norm", max_examples=40, promise={"gap": 1e-14})
    for function in (globals()[name], exact_weights):
        namespace = {}
        line = f"from {__name__} import {name} as imported"
        assert line in report.regression_test
        exec(report.regression_test.replace(line, ""), namespace)
        namespace["imported"] = function
        (test,) = [f for key, f in namespace.items() if key.startswith("test_")]
        if function is exact_weights:
            test()
        else:
            with pytest.raises(AssertionError):
                test()


def stops_at(J, tol=1e-2):
    """Frank-Wolfe that stops where the gap is at most tol times the largest squared row."""
    weights = np.full(len(J), 1 / len(J))
    for _ in range(100_000):
        v = weights @ J
        products = J @ v
        k = int(np.argmin(products))
        if v @ v - products[k] <= tol * (J * J).sum(1).max():
            break
        d = J[k] - v
        step = min(1.0, (v @ v - products[k]) / (d @ d))
        weights = (1 - step) * weights
        weights[k] += step
    return weights


def test_a_knob_may_get_more_accurate_as_it_falls():
    report = verify(stops_at, "min_norm", vary={"tol": [1e-2, 1e-3, 1e-4]})
    assert (report.grade, report.exit_code) == ("converging", 0)
    assert 0.8 < report.certificate["rate"]["worst"] < 1.2
    assert "failed" not in str(report)  # nothing failed: it was asked how fast it converges
    assert "short of the truth" in str(report)
    coarser = verify(stops_at, "min_norm", vary={"tol": [1e-4, 1e-3, 1e-2]})
    assert coarser.exit_code == 1


def creeps(J, steps=10):
    """A gap that falls like the eighth root of the steps."""
    right, wrong = exact_weights(J), np.full(len(J), 1 / len(J))
    share = 0.05 * steps ** (-1 / 8)
    return (1 - share) * right + share * wrong


def test_a_gap_that_falls_too_slowly_is_undecided():
    report = verify(creeps, "min_norm", vary={"steps": [10, 20, 40]})
    assert (report.grade, report.exit_code) == ("inconclusive", 4)
    assert "slowly" in report.summary


def mixed(J, share):
    """The right weights, moved to equal ones by a share: a gap of about that share."""
    return (1 - share) * exact_weights(J) + share / len(J)


def worse_with_more_tasks(J):
    return mixed(J, 1e-6 if len(J) < 3 else 0.3)


def test_the_input_shown_breaks_the_promise_and_its_test_asks_for_no_more_than_the_promise():
    report = verify(f"{__name__}:worse_with_more_tasks", "min_norm", promise={"gap": 1e-3})
    assert (report.grade, report.exit_code) == ("wrong", 1)
    J = np.array(report.counterexample["inputs"]["J"])
    assert len(J) >= 3  # with two tasks it misses the truth, but keeps the promise
    assert report.counterexample["error"] > 1e-3 * (J * J).sum(1).max()
    assert report.counterexample["measure"] == "gap"
    line = f"from {__name__} import worse_with_more_tasks as imported"
    for share, passes in ((0.3, False), (1e-6, True)):
        namespace = {}
        exec(report.regression_test.replace(line, ""), namespace)
        namespace["imported"] = lambda J, share=share: mixed(J, share)
        (test,) = [f for key, f in namespace.items() if key.startswith("test_")]
        if passes:
            test()
        else:
            with pytest.raises(AssertionError):
                test()


def test_an_undecided_iterative_subject_gets_no_test_that_it_could_never_pass():
    report = verify(stops_at, "min_norm")
    assert report.grade == "inconclusive"
    assert report.regression_test is None
    assert report.counterexample is not None


def nothing_for_zero_gradients(J, max_iters=100):
    return frank_wolfe(J, max_iters) if J.any() else np.zeros(len(J))


def a_gradient_for_one_task(J, max_iters=100):
    return frank_wolfe(J, max_iters) if len(J) > 1 else J[0]


@pytest.mark.parametrize("subject", [nothing_for_zero_gradients, a_gradient_for_one_task])
@pytest.mark.parametrize("options", [{"vary": SETTINGS}, {"promise": {"gap": 1e-2}}])
def test_weights_without_any_sum_are_as_far_off_as_the_gradients_are_long(subject, options):
    report = verify(subject, "min_norm", max_examples=40, **options)
    assert (report.grade, report.exit_code) == ("wrong", 1)
    assert report.certificate["worst"] >= 1
