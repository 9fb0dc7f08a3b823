"""The pytest plugin: checks as parameters, strict expected failures, fixtures, and a summary."""

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import numpy as np
import refgrad
from refgrad.pytest_plugin import parametrize_with_checks

def ewc(theta, theta_star, fisher, lam):
    return lam / 2 * np.sum(fisher * (theta - theta_star) ** 2)

def doubled(theta, theta_star, fisher, lam):
    return lam * np.sum(fisher * (theta - theta_star) ** 2)

OPTIONS = {"max_examples": 20}
CHECKS = [(ewc, "ewc_penalty", OPTIONS), (doubled, "ewc_penalty", OPTIONS)]
"""


@pytest.fixture
def suite(pytester):
    def run(text, *arguments, mode="prepend"):
        pytester.makeini(f"[pytest]\naddopts = --import-mode={mode}\n")
        folder = pytester.path / "some.tests"  # which is no name of a package
        folder.mkdir(exist_ok=True)
        (folder / "test_suite.py").write_text(SUITE + text)
        return pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    return run


def test_each_check_is_a_test_and_the_summary_says_what_came_of_it(suite):
    found = suite("@parametrize_with_checks(CHECKS)\ndef test_it(check):\n    check()\n", "-v")
    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(
        [
            "*test_it?ewc-ewc_penalty? PASSED*",
            "*test_it?doubled-ewc_penalty? FAILED*",
            "*= refgrad =*",
            "*doubled against ewc_penalty: variant:missing-half, * effective",
            "*ewc against ewc_penalty: *20 planned, 20 ran, * effective",
        ]
    )


def test_a_function_that_pytest_alone_finds_by_its_name_is_judged_in_this_process(suite):
    found = suite("@parametrize_with_checks(CHECKS[:1])\ndef test_it(check):\n    check()\n", mode="importlib")
    found.assert_outcomes(passed=1)


def test_an_expected_failure_is_strict_and_has_to_be_of_a_check(suite):
    decorated = '@parametrize_with_checks(CHECKS, expected_failures={"%s": "%s"})\ndef test_it(check):\n    check()\n'
    suite(decorated % ("doubled-ewc_penalty", "no half")).assert_outcomes(passed=1, xfailed=1)
    both = '{"doubled-ewc_penalty": "no half", "ewc-ewc_penalty": "was wrong once"}'
    found = suite(f"@parametrize_with_checks(CHECKS, expected_failures={both})\ndef test_it(check):\n    check()\n")
    found.assert_outcomes(failed=1, xfailed=1)
    found.stdout.fnmatch_lines(["*XPASS(strict)*was wrong once*"])
    suite(decorated % ("maml-ewc_penalty", "?")).stdout.fnmatch_lines(["*a failure is expected of maml-ewc_penalty; *"])


def test_a_failure_may_be_expected_with_its_grade_and_every_check_has_a_name_of_its_own(suite):
    text = """
from functools import partial

class Solver:
    def __call__(self, *arguments):
        return ewc(*arguments)

DOUBLED = "doubled-ewc_penalty"
EXPECTED = {DOUBLED: ("variant:missing-half", "no half"), f"{DOUBLED}-2": ("variant:x", "so it was")}
ALL = [*CHECKS, *((f, "ewc_penalty", OPTIONS) for f in (doubled, Solver(), partial(ewc)))]

@parametrize_with_checks(ALL, expected_failures=EXPECTED)
def test_it(check):
    check()
"""
    found = suite(text, "-v")
    found.assert_outcomes(passed=3, failed=1, xfailed=1)
    for line in (
        "*test_it?doubled-ewc_penalty? XFAIL*", "*test_it?doubled-ewc_penalty-2? FAILED*",
        "*test_it?Solver-ewc_penalty? PASSED*", "*test_it?ewc-ewc_penalty-2? PASSED*",
    ):  # fmt: skip
        found.stdout.fnmatch_lines([line])
    found.stdout.fnmatch_lines(["*expected to fail with variant:x, and found variant:missing-half*"])


def test_what_could_not_be_judged_is_no_failure_that_was_expected(suite):
    found = suite(
        """
def broken(theta, theta_star, fisher, lam):
    raise TypeError("not mine")

@parametrize_with_checks([(broken, "ewc_penalty", OPTIONS)], expected_failures={"broken-ewc_penalty": "no half"})
def test_it(check):
    check()
"""
    )
    found.assert_outcomes(failed=1)
    found.stdout.fnmatch_lines(["*nothing is known: not-run: *not mine*"])


def test_the_fixtures_fail_with_the_report_and_with_the_answer(suite):
    given = "theta=np.ones(3), theta_star=np.array([0.5, 2.0, 0.0]), fisher=np.array([1.0, 2.0, 5.0]), lam=3.0"
    found = suite(
        f"""
def test_right(refgrad_identify):
    assert refgrad_identify(10.875, "ewc_penalty", {given}).name == "ewc_penalty"

def test_wrong(refgrad_identify):
    refgrad_identify(21.75, "ewc_penalty", {given})

def test_verified(refgrad_verify):
    refgrad_verify(doubled, "ewc_penalty", max_examples=20)
"""
    )
    found.assert_outcomes(passed=1, failed=2)
    found.stdout.fnmatch_lines(
        ["*AssertionError: variant:missing-half: *", "*ewc_penalty of a penalty, lam 3: accurate, *"]
    )


def test_without_a_verdict_there_is_no_summary(suite):
    assert "= refgrad =" not in suite("def test_nothing():\n    pass\n").stdout.str()
