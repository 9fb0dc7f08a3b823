"""A report as text: plain, or in colour on a terminal."""

from __future__ import annotations

import textwrap
from typing import Any

from refgrad.conformance.report.layout import display, layout, number
from refgrad.conformance.report.report import Report

__all__ = ["Section", "sections", "show", "text"]

Section = tuple[str, list[str]]
_COLOURS = {0: "green", 1: "red", 3: "red", 4: "yellow", 5: "yellow"}
_WIDTH = 110


def sections(report: Report, brief: bool = False) -> list[Section]:
    """Titles and lines of a report, in reading order; without references, advice and the test if `brief`."""
    found = [_finding(report, brief), ("Problems", _counts(report))]
    if report.certificate:
        found.append(("Certificate", _certificate(report.certificate)))
    if report.errors:
        lines = [f"{e['outcome']} on {e['count']}: {e['message']}" for e in report.errors]
        found.append(("Accidents", [wrapped for line in lines for wrapped in _wrapped(line)]))
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


def show(report: Report, console: Any, brief: bool = False) -> None:
    """Print the report on a rich console; in colour where that is a terminal."""
    if not console.is_terminal:
        console.print(text(report, brief), markup=False, highlight=False, soft_wrap=True)
        return
    from rich.syntax import Syntax
    from rich.text import Text

    colour = _COLOURS.get(report.exit_code, "red")
    console.print(Text(headline(report), style="bold"))
    for i, (title, body) in enumerate(sections(report, brief)):
        console.print()
        if i == 0:
            console.print(Text(f"  {title}", style=f"bold {colour}"))
        else:
            console.print(Text(f"  {title}", style="bold cyan"))
        if title.startswith("Regression"):
            source = textwrap.indent("\n".join(body), "    ")
            console.print(Syntax(source, "python", theme="ansi_dark", background_color="default"))
        else:
            for line in body:
                console.print(Text(f"    {line}"), soft_wrap=True)


def _finding(report: Report, brief: bool) -> Section:
    lines = _wrapped(report.summary)
    for candidate in report.candidates:
        lines.append(f"{candidate['name']}: {candidate['formula']}")
        against = candidate["contradicted"]
        speaks = f"{against} passing problems speak against it" if against else "nothing speaks against it"
        undefined = f", is not defined on {candidate['silent']}" if candidate["silent"] else ""
        lines.append(f"  reproduces {candidate['reproduces']} of {candidate['failures']} failures{undefined}; {speaks}")
        if candidate["references"] and not brief:
            lines += [f"  {line}" for line in _wrapped("seen in " + "; ".join(candidate["references"]))]
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
    return lines


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
        lines += ["", *(_wrapped(f"{example['outcome'].replace('_', ' ')}: {example['message']}"))]
    if example["expected"] is not None:
        exact = ", ".join(example["expected"])
        lines.append(f"exact     {exact if len(example['expected']) == 1 and example['got'] is None else f'[{exact}]'}")
    if example["error"] is not None:
        error, attainable = _short(example["error"]), _short(example["attainable"])
        lines.append(f"{example.get('measure', 'error'):<9} {error}, attainable {attainable}")
    return lines


def _wrapped(line: str) -> list[str]:
    return textwrap.wrap(line, _WIDTH) or [""]


def _advice(part: str) -> list[str]:
    """A sentence wrapped, but a command in one piece, to be copied."""
    return [part] if part.startswith("refgrad ") else _wrapped(part)


def _short(value: float | None) -> str:
    return "-" if value is None else number(value) if value == int(value) and abs(value) < 1000 else f"{value:.2g}"
