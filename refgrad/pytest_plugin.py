"""refgrad in a test suite: checks as parameters, fixtures that verify and identify, and a summary at the end.

pytest loads it where refgrad is installed; the judge is imported when a test asks.

    from refgrad.pytest_plugin import parametrize_with_checks

    @parametrize_with_checks([(maml, "maml_gradient"), (fisher, "fisher_diagonal", {"max_examples": 40})])
    def test_conformance(check):
        check()

    def test_my_model(refgrad_identify):
        refgrad_identify(grads, "maml_gradient", loss=loss, theta=theta, tasks=tasks, lr=0.1, steps=5)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

__all__ = ["parametrize_with_checks"]

_NOTE = "refgrad"
_running: list[pytest.Item] = []


@dataclass(frozen=True)
class Check:
    """One target and contract: called, it verifies, returns the report, and fails with it unless that conforms."""

    target: Any
    contract: Any
    options: Mapping[str, Any] = field(default_factory=dict)
    place: int = 1
    expected: str = ""

    def __str__(self) -> str:
        of_class = type(self.target).__name__
        inner = getattr(self.target, "func", self.target)  # of a functools.partial
        name = self.target if isinstance(self.target, str) else getattr(inner, "__name__", of_class)
        again = f"-{self.place}" if self.place > 1 else ""
        return f"{name.rpartition(':')[2]}-{getattr(self.contract, 'name', self.contract)}{again}"

    def __call__(self) -> Any:
        return _verified(self.target, self.contract, self.expected, **self.options)


def _numbered(checks: Sequence[Sequence[Any]]) -> list[Check]:
    """The checks; of several with one name the second ends with -2."""
    found: list[Check] = []
    for check in checks:
        one = Check(*check)
        found.append(replace(one, place=1 + sum(str(replace(c, place=1)) == str(one) for c in found)))
    return found


def parametrize_with_checks(
    checks: Sequence[Sequence[Any]], *, expected_failures: Mapping[str, str | tuple[str, str]] | None = None
) -> pytest.MarkDecorator:
    """A decorator that runs a test once for each check, with the argument ``check``, to be called without arguments.

    Parameters
    ----------
    checks : list of tuple
        ``(target, contract)`` or ``(target, contract, options)``, as of `refgrad.verify`.
    expected_failures : dict of str to str or to a pair of str, optional
        For a check, by its name such as ``"maml-maml_gradient"``, the reason why it fails, or
        ``("variant:fomaml", reason)``, with the grade that it has to fail with. It is a strict xfail: once it passes,
        the test fails until the line is removed. The second check of one function and contract is
        ``"maml-maml_gradient-2"``.

    Raises
    ------
    ValueError
        If a failure is expected of a check that there is not.
    """
    reasons, found = dict(expected_failures or {}), _numbered(checks)
    unknown = [name for name in reasons if name not in map(str, found)]
    if unknown:
        raise ValueError(f"a failure is expected of {', '.join(unknown)}; the checks are {', '.join(map(str, found))}")
    params = []
    for one in found:
        why = reasons.get(str(one), "")
        grade, reason = ("", why) if isinstance(why, str) else why
        fails = [pytest.mark.xfail(reason=reason, strict=True, raises=AssertionError)]
        marks = fails if str(one) in reasons else []
        params.append(pytest.param(replace(one, expected=grade), id=str(one), marks=marks))
    return pytest.mark.parametrize("check", params)


@pytest.fixture
def refgrad_verify() -> Callable[..., Any]:
    """`refgrad.verify`, which fails the test with the report unless the subject conforms; returns the report."""
    return _verified


@pytest.fixture
def refgrad_identify() -> Callable[..., Any]:
    """`refgrad.identify`, which fails the test with the answer unless it is the contract; returns the answer."""
    return _identified


def _verified(target: Any, contract: Any, expected: str = "", **options: Any) -> Any:
    from refgrad import verify

    report = verify(target, contract, **options)
    counts = f"{report.planned} planned, {report.ran} ran, {report.effective} effective"
    _note(f"{report.target} against {report.contract}: {report.grade}, {counts}")
    if report.exit_code > 1:  # which is no failure that could have been expected
        pytest.fail(f"nothing is known: {report.grade}: {report.summary}\n\n{report}", pytrace=False)
    if expected and report.exit_code == 1 and report.grade != expected:
        pytest.fail(f"expected to fail with {expected}, and found {report.grade}: {report.summary}", pytrace=False)
    report.raise_for_failure()
    return report


def _identified(output: Any = None, contract: Any = "maml_gradient", **given: Any) -> Any:
    from refgrad import identify

    found = identify(output, contract, **given)
    _note(f"{found.contract} of {', '.join(found.said)}: {found.grade}, {found.compared} formulas")
    if found.exit_code > 1:
        pytest.fail(f"cannot be told: {found.summary}\n\n{found}", pytrace=False)
    found.raise_for_failure()
    return found


def _note(words: str) -> None:
    for item in _running[-1:]:
        item.user_properties.append((_NOTE, words))  # which reach the summary from another process too


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Remember which test runs, for what it finds."""
    _running.append(item)
    try:
        return (yield)
    finally:
        _running.pop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """One line for each verdict: subject, contract, grade, problems planned, ran and effective."""
    reports = [r for kind in terminalreporter.stats.values() for r in kind if getattr(r, "when", "") == "call"]
    lines = sorted({words for r in reports for name, words in r.user_properties if name == _NOTE})
    if lines:
        terminalreporter.section("refgrad")
        for line in lines:
            terminalreporter.write_line(line)
