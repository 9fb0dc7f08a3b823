"""A verdict as JUnit's XML, which continuous integration shows beside other tests."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from refgrad.conformance.report.report import Report

__all__ = ["write_junit"]

_NOT_RUN = (3, 5, 130)


def write_junit(report: Report, path: str | Path) -> None:
    """One suite with one test: passed, failed with the whole report, an error where nothing was judged, or skipped.

    What is undecided counts as skipped.
    """
    code = report.exit_code
    counts = {"tests": 1, "failures": int(code == 1), "errors": int(code in _NOT_RUN), "skipped": int(code == 4)}
    suite = ElementTree.Element("testsuite", {"name": "refgrad"} | {name: str(n) for name, n in counts.items()})
    test = ElementTree.SubElement(suite, "testcase", classname=report.target, name=report.contract)
    if code:
        kind = "failure" if code == 1 else "skipped" if code == 4 else "error"
        outcome = ElementTree.SubElement(test, kind, message=f"{report.grade}: {report.summary}")
        outcome.text = _printable(str(report))
    ElementTree.SubElement(test, "system-out").text = _printable(str(report))
    ElementTree.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    """Text without control characters, which XML cannot hold."""
    return "".join(c for c in text if c.isprintable() or c in "\n\t")
