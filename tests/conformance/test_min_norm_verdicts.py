"""Iterative subjects under ``min_norm``: a measured rate, a promise, and neither."""

import numpy as np
import pytest

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


SETTINGS = {"max_iters": [10, 100, 1000]}


def test_frank_wolfe_converges_at_a_measured_rate():
    report = verify(frank_wolfe, "min_norm", vary=SETTINGS)
    assert (report.grade, report.exit_code) == ("converging", 0)
    assert report.certificate["rate"]["worst"] < -0.5
    assert report.certificate["rate"]["median"] < -0.5
    assert [row["value"] for row in report.certificate["settings"]] == SETTINGS["max_iters"]
    assert report.certificate["scale"] == "max |g_i|^2"


def test_frank_wolfe_without_a_knob_or_a_promise_is_undecided_and_the_advice_says_what_to_type():
    report = verify(frank_wolfe, "min_norm", max_examples=60)
    assert (report.grade, report.exit_code) == ("inconclusive", 4)
    assert "--vary max_iters=100,1000,10000" in report.advice
    assert "--promise gap=1e-3" in report.advice


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
