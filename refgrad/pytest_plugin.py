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
from dataclasses import dataclass, field
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

    def __str__(self) -> str:
        name = self.target if isinstance(self.target, str) else getattr(self.target, "__name__", repr(self.target))
        return f"{name.rpartition(':')[2]}-{getattr(self.contract, 'name', self.contract)}"

    def __call__(self) -> Any:
        return _verified(self.target, self.contract, **self.options)


def parametrize_with_checks(
    checks: Sequence[Sequence[Any]], *, expected_failures: Mapping[str, str] | None = None
) -> pytest.MarkDecorator:
    """A decorator that runs a test once for each check, with the argument ``check``, to be called without arguments.

    Parameters
    ----------
    checks : list of tuple
        ``(target, contract)`` or ``(target, contract, options)``, as of `refgrad.verify`.
    expected_failures : dict of str to str, optional
        For a check, by its name such as ``"maml-maml_gradient"``, the reason why it fails. It is a strict xfail: once
        it passes, the test fails until the line is removed.

    Raises
    ------
    ValueError
        If a failure is expected of a check that there is not.
    """
    reasons, found = dict(expected_failures or {}), [Check(*check) for check in checks]
    unknown = [name for name in reasons if name not in map(str, found)]
    if unknown:
        raise ValueError(f"a failure is expected of {', '.join(unknown)}; the checks are {', '.join(map(str, found))}")
    xfail = {name: [pytest.mark.xfail(reason=why, strict=True, raises=AssertionError)] for name, why in reasons.items()}
    return pytest.mark.parametrize("check", [pytest.param(c, id=str(c), marks=xfail.get(str(c), [])) for c in found])


@pytest.fixture
def refgrad_verify() -> Callable[..., Any]:
    """`refgrad.verify`, which fails the test with the report unless the subject conforms; returns the report."""
    return _verified


@pytest.fixture
def refgrad_identify() -> Callable[..., Any]:
    """`refgrad.identify`, which fails the test with the answer unless it is the contract; returns the answer."""
    return _identified


def _verified(target: Any, contract: Any, **options: Any) -> Any:
    from refgrad import verify

    report = verify(target, contract, **options)
    counts = f"{report.planned} planned, {report.ran} ran, {report.effective} effective"
    _note(f"{report.target} against {report.contract}: {report.grade}, {counts}")
    if report.exit_code > 1:  # which is no failure that could have been expected
        pytest.fail(f"nothing is known: {report.grade}: {report.summary}\n\n{report}", pytrace=False)
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
