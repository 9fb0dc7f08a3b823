"""Examples end in an exact value, and the docstring of a public package is a short tour with an example."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from fractions import Fraction

import pytest
from helpers.docstrings import packages

import refgrad

LEFT_OUT = {"refgrad.__main__", "refgrad.backend.cupy"}
MODULES = [m.name for m in pkgutil.walk_packages(refgrad.__path__, "refgrad.") if m.name not in LEFT_OUT]
FLOAT = re.compile(r"(?<![\w.])\d+\.\d*(?:e[-+]?\d+)?|(?<![\w.])\d+e[-+]?\d+")
TEXT = re.compile(r"'[^']*'")
TOURS = [name for name in packages() if name not in ("refgrad.errors", "refgrad.typing")]  # they have nothing to call
LONGEST_TOUR = 40


def examples():
    """The docstrings that have examples, by full name."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    return {test.name: test for test in found if test.examples}


def faults_of(test):
    """Why the last value of a docstring's examples is not exact: nothing, a part, or a float that has been rounded."""
    last = test.examples[-1]
    faults = ["the last line has no value"] if not last.want else []
    if last.options.get(doctest.SKIP):
        faults.append("the last line is not run")
    if "..." in last.want:
        faults.append("the last value is cut short by '...'")
    rounded = [text for text in FLOAT.findall(TEXT.sub("", last.want)) if Fraction(text) != Fraction(float(text))]
    return faults + [f"{text} is not the number that it stands for" for text in rounded]


EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_end_in_an_exact_value(name):
    assert faults_of(EXAMPLES[name]) == []


@pytest.mark.parametrize("name", TOURS)
def test_the_docstring_of_a_public_package_is_a_short_tour_with_an_example(name):
    text = inspect.getdoc(importlib.import_module(name))
    assert doctest.DocTestParser().get_examples(text)
    assert len(text.splitlines()) <= LONGEST_TOUR


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (">>> 1 / 3\n0.3333333333333333", "0.3333333333333333 is not the number"),
        (">>> [0.5, 0.1]\n[0.5, 0.1]", "0.1 is not"),
        (">>> 1e-3\n1e-3", "1e-3 is not"),
        (">>> list(range(99))\n[0, 1, ...]", "cut short"),
        (">>> x = 1", "no value"),
        (">>> 1  # doctest: +SKIP\n1", "is not run"),
    ],
)
def test_a_last_value_that_is_not_exact_is_found(last, words):
    planted = doctest.DocTestParser().get_doctest(f">>> 1 / 3 > 0.3\nTrue\n{last}\n", {}, "planted", None, 0)
    assert any(words in fault for fault in faults_of(planted))


@pytest.mark.parametrize(
    "want", ["True", "3", "0.375", "-2.0", "ExactArray([1/3, -2])", "'0.5'", "([0.75, 0.25], True)"]
)
def test_an_exact_value_is_none(want):
    assert faults_of(doctest.DocTestParser().get_doctest(f">>> x\n{want}\n", {}, "right", None, 0)) == []
