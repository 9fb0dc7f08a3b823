"""What a run found, as data and in words: the same report goes to the terminal, to JSON and to the caller."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from refgrad.conformance.report.layout import display, layout, number

__all__ = ["Report", "Section", "headline", "sections", "text"]

Section = tuple[str, list[str]]
_WIDTH = 110


@dataclass(frozen=True)
class Report:
    """The result of verifying one subject against one contract.

    Attributes
    ----------
    target, contract, contract_version : str
        What was verified, against what.
    grade : str
        ``exact``, ``accurate``, ``converging``, ``variant:NAME``, ``wrong``, ``unstable``, ``borderline``,
        ``inconclusive``, ``not-run`` or ``nothing-ran``.
    exit_code : int
        0 conforms, 1 does not, 3 could not be run, 4 undecided, 5 nothing ran, 130 interrupted.
    summary : str
        The finding in one sentence.
    planned, ran, effective : int
        Problems planned, problems on which the subject was called, and those among them that could have told the
        contract from the variants.
    seed : int
    isolation : str
        ``"process"``, or ``"none"`` for a function that only the calling process can reach.
    diagnosis : str or None
        The name of the formula that the subject computes instead; names joined by " or " if several fit.
    candidates : list of dict
        Formula, meaning, references and evidence of each formula that fits the failures.
    outcomes : dict of str to int
        How many problems ended in ``passed``, ``failed``, ``raised``, ``timeout``, ``crashed``, ``not_finite``,
        ``wrong_shape``, ``wrong_dtype``, ``not_an_array``, ``nondeterministic``, ``unknown``.
    errors : list of dict
        For each kind of outcome that is no value: an example of its message, and its count.
    numbers : dict
        ``worst_ratio`` (error in units of the attainable error), its ``limit``, and ``calls`` of the subject.
    judged : list of dict
        Of each problem with an output: ``outcome``, ``error``, and ``attainable``, or a lower bound of that which was
        enough to pass.
    certificate : dict or None
        For iterative subjects: the normalised gaps by setting, the measured rate, the promise.
    counterexample : dict or None
        The smallest failing input with what came and what is exact.
    regression_test : str or None
        Source of a test that runs without refgrad.
    advice : str
        What to do next.
    refuses : str
        The group of problems on which the subject raises, and only there; empty if it takes everything.
    covered : dict of str to list
        What the judged problems cover, generated from them: for each property the smallest and the largest number, or
        every word.
    mutated : list of str
        Arguments that the subject has changed in place.
    environment : dict
        Backend, dtype, and versions.
    """

    target: str
    contract: str
    contract_version: str
    grade: str
    exit_code: int
    summary: str
    planned: int
    ran: int
    effective: int
    seed: int
    isolation: str
    diagnosis: str | None = None
    candidates: list[dict[str, Any]] = field(default_factory=list)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    errors: list[dict[str, Any]] = field(default_factory=list)
    numbers: Mapping[str, Any] = field(default_factory=dict)
    judged: list[dict[str, Any]] = field(default_factory=list)
    certificate: Mapping[str, Any] | None = None
    counterexample: Mapping[str, Any] | None = None
    regression_test: str | None = None
    advice: str = ""
    refuses: str = ""
    covered: Mapping[str, Any] = field(default_factory=dict)
    mutated: list[str] = field(default_factory=list)
    environment: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, equal for equal runs: it holds no times."""
        return asdict(self)

    def to_json(self, path: str | Path) -> None:
        """Write the report as JSON."""
        text = json.dumps(_finite(self.as_dict()), indent=2, allow_nan=False)
        Path(path).write_text(text + "\n", encoding="utf-8")

    def raise_for_failure(self) -> None:
        """Raise an AssertionError that shows the report, unless the subject conforms."""
        if self.exit_code != 0:
            raise AssertionError(f"{self.grade}: {self.summary}\n\n{self}")

    def __str__(self) -> str:
        return text(self)


def _finite(value: Any) -> Any:
    """Plain data with infinities and NaN as strings, for which JSON has no numbers."""
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def sections(report: Report, brief: bool = False) -> list[Section]:
    """Titles and lines of a report, in reading order; without references, advice and the test if `brief`."""
    found = [_finding(report, brief), ("Problems", _counts(report))]
    if report.certificate:
        found.append(("Certificate", _certificate(report.certificate)))
    if report.errors:
        lines = [f"{e['outcome']} on {e['count']}: {e['message']}" for e in report.errors]
        found.append(("Accidents", [wrapped for line in lines for wrapped in _wrap(line)]))
    if report.counterexample:
        found.append(("Smallest failing input", _example(report.counterexample)))
    if report.regression_test and not brief:
        found.append(("Regression test, which needs no refgrad", report.regression_test.rstrip().splitlines()))
    if report.advice and not brief:
        found.append(("Next", [line for part in report.advice.splitlines() for line in _advice(part)]))
    return found


def headline(report: Report) -> str:
    """Target, contract and settings in one line."""
    where = f"{report.environment.get('backend', '')} {report.environment.get('dtype', '')}".strip()
    where += "".join(f", {name}={value}" for name, value in report.environment.get("params", {}).items())
    alone = "" if report.isolation == "process" else ", in this process"
    return f"{report.target} against {report.contract}/{report.contract_version} ({where}{alone})"


def text(report: Report, brief: bool = False) -> str:
    """The report as plain text."""
    lines = [headline(report)]
    for title, body in sections(report, brief):
        lines += ["", f"  {title}"] if title else [""]
        lines += [f"    {line}".rstrip() for line in body]
    return "\n".join(lines)


def _finding(report: Report, brief: bool) -> Section:
    lines = _wrap(report.summary)
    for candidate in report.candidates:
        lines.append(f"{candidate['name']}: {candidate['formula']}")
        against = candidate["contradicted"]
        speaks = f"{against} passing problems speak against it" if against else "nothing speaks against it"
        undefined = f", is not defined on {candidate['silent']}" if candidate["silent"] else ""
        lines.append(f"  reproduces {candidate['reproduces']} of {candidate['failures']} failures{undefined}; {speaks}")
        if candidate["references"] and not brief:
            lines += [f"  {line}" for line in _wrap("seen in " + "; ".join(candidate["references"]))]
    return f"{report.grade}   (exit {report.exit_code})", lines


def _counts(report: Report) -> list[str]:
    converging = report.grade == "converging"  # an iterative subject is not meant to reach the truth on every problem
    words = {"failed": "short of the truth", "passed": "at the truth"} if converging else {}
    counted = [f"{count} {words.get(name, name.replace('_', ' '))}" for name, count in report.outcomes.items()]
    outcomes = ", ".join(counted)
    lines = [f"{report.planned} planned, {report.ran} ran, {report.effective} effective: {outcomes}"]
    worst = report.numbers.get("worst_ratio")
    if converging:
        lines.append(f"judged by the certificate below; seed {report.seed}")
    elif worst is not None:
        limit = report.numbers["limit"]
        lines.append(f"worst error {_short(worst)} times what floats allow (limit {limit}); seed {report.seed}")
    if report.covered:
        lines += _wrap("covered: " + ", ".join(_range(name, values) for name, values in report.covered.items()))
    if report.mutated:
        lines += _wrap(f"it changes its arguments in place: {', '.join(report.mutated)}")
    return lines


def _range(name: str, values: Any) -> str:
    """One property and what it covers."""
    if any(isinstance(v, str) for v in values):
        return f"{name} {', '.join(values)}"
    low, high = (number(v) for v in values)
    return f"{name} {low}" if low == high else f"{name} {low} to {high}"


def _certificate(certificate: Any) -> list[str]:
    what = f"{certificate['name']} / {certificate['scale']}"
    head = f"{what}, evaluated exactly, where it is more than floats must leave"
    lines = [head]
    for row in certificate["settings"]:
        middle, worst = _short(row["median"]), _short(row["worst"])
        lines.append(f"{certificate['knob']} = {row['value']:<8g} median {middle:>8}   worst {worst:>8}")
    rate = certificate["rate"]
    if rate and rate["worst"] is not None:
        median = f"{rate['median']:.2f}" if rate["median"] is not None else "-"
        lines.append(f"falls like {certificate['knob']}^p with p = {median} (median), {rate['worst']:.2f} (worst)")
    if certificate["promise"] is not None:
        lines.append(f"promised: at most {certificate['promise']:g}; worst {_short(certificate['worst'])}")
    return lines


def _example(example: Any) -> list[str]:
    lines = layout(example["inputs"])
    if example["got"] is not None:
        returned = " ".join(display(example["got"]))
        if example["expected"] is not None and returned == f"[{', '.join(example['expected'])}]":
            returned = str(example["got"])  # all digits, where nine do not show the difference
        lines += ["", "returned  " + returned]
    else:
        lines += ["", *(_wrap(f"{example['outcome'].replace('_', ' ')}: {example['message']}"))]
    if example["expected"] is not None:
        exact = ", ".join(example["expected"])
        lines.append(f"exact     {exact if len(example['expected']) == 1 and example['got'] is None else f'[{exact}]'}")
    if example["error"] is not None:
        error, attainable = _short(example["error"]), _short(example["attainable"])
        lines.append(f"{example.get('measure', 'error'):<9} {error}, attainable {attainable}")
    return lines


def _wrap(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH) or [""]


def _advice(part: str) -> list[str]:
    """A sentence wrapped, but a command in one piece, to be copied."""
    return [part] if part.startswith("refgrad ") else _wrap(part)


def _short(value: float | None) -> str:
    if value is not None and not math.isfinite(value):
        return "infinite"
    return "-" if value is None else number(value) if value == int(value) and abs(value) < 1000 else f"{value:.2g}"
