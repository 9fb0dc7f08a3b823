"""Docstrings are NumPy-doc: they describe the parameters that there are, in order, with types, and what comes back."""

from __future__ import annotations

import inspect
from collections import namedtuple
from enum import Enum

import pytest
from helpers.docstrings import AS_IN, entries, fields, parameters, parsed, public
from numpydoc.validate import Validator, get_doc_object, validate

FUNCTIONS = {name: f for name, f in public().items() if not inspect.isclass(f)}
CLASSES = {name: c for name, c in public().items() if inspect.isclass(c) and not issubclass(c, (Exception, Enum))}

CODES = {
    "GL03": "no two blank lines",
    "GL05": "no tabs",
    "GL06": "sections are those of NumPy-doc, for a misspelt one would be text",
    "GL07": "sections stand in NumPy-doc's order",
    "GL08": "there is a docstring",
    "SS01": "it begins with a summary",
    "SS03": "which ends as a sentence does",
    "SS04": "and is not indented",
    "SS06": "and is one line",
    "PR05": "a type is no sentence",
    "PR06": "types are Python's own: str, int, bool",
    "PR09": "a description is a sentence",
    "PR10": "a colon without a space before it would make a type a part of the name",
    "RT05": "what comes back is described in sentences",
}
"""What is asked of numpydoc.validate, and why. Left out are the codes on parameters and results, which the tests below
know better (several names have one type; a result may stand in the summary); those that ask for sections or texts
whatever there is to say (ES01, EX01, SA01, PR07, RT03); and those of another grammar: a summary here is a noun phrase
or a formula (SS02, SS05), and a text may begin with a symbol (PR08, RT04)."""

VERBS = {
    "Add", "Apply", "Build", "Calculate", "Check", "Compare", "Compute", "Create", "Evaluate", "Find", "Get", "Give",
    "Make", "Raise", "Register", "Return", "Returns", "Run", "Set", "Solve", "Test", "Write",
}  # fmt: skip
"""First words of summaries that say what is done, not what comes back."""


class Docstring(Validator):
    """What numpydoc.validate reads of an object, whose source it need not find: no code above asks for it."""

    method_source = ""

    def __init__(self, obj_name):
        super().__init__(get_doc_object(public()[obj_name]))


def is_short(function):
    """Whether the parameters need no section: operands of `refgrad.numpy`, which its function names by itself."""
    there = inspect.signature(function).parameters.values()
    operands = all(p.annotation == "Any" and p.default is p.empty for p in there)
    return not there or (function.__module__.startswith("refgrad.numpy") and operands)


def faults_of_parameters(function, known):
    """What is wrong with the section Parameters; `known` are public functions, to whose entries it may refer."""
    said, there = entries(function, "Parameters"), parameters(function)
    names = [entry.name for entry in said]
    faults = [f"{entry.name} has no type" for entry in said if not entry.type]
    if hasattr(function, "ours"):  # what differs from NumPy's, or has more to it
        return faults + [f"{n} is no parameter, or not in order" for n in names if n not in in_order(names, there)]
    if names != there and (said or not is_short(function)):
        faults.append(f"documented are {names}, there are {there}")
    for entry in said:
        for other in AS_IN.findall(entry.type):
            found = [f for name, f in known.items() if name.endswith(f".{other}")]
            if not any(entry.name in [e.name for e in entries(f, "Parameters")] for f in found):
                faults.append(f"{other} does not describe {entry.name}")
    return faults


def in_order(names, there):
    """The names that occur in `there` one after the other."""
    rest = iter(there)
    return [name for name in names if name in rest]


def faults_of_result(function):
    """What is wrong with what is said of the result: in a section, or else by the summary."""
    doc, own = parsed(function), getattr(function, "ours", function)
    if doc["Returns"] or doc["Yields"] or inspect.signature(own).return_annotation in ("None", None):
        return []
    first = (" ".join(doc["Summary"]).split() or [""])[0]
    return [f"the summary begins with {first!r} and there is no section Returns"] if first in VERBS or not first else []


def faults_of_class(value):
    """What is wrong with what is said of fields, or of the arguments of a constructor that people call."""
    there = fields(value)
    if there is not None:
        said = entries(value, "Attributes")
        names = [entry.name for entry in said]
        faults = [] if names == there else [f"documented are {names}, there are {there}"]
        return faults + [f"{entry.name} has no type" for entry in said if not entry.type]
    if getattr(value, "_is_protocol", False) or "Made by `" in value.__doc__:
        return []
    names, there = [entry.name for entry in entries(value, "Parameters")], list(inspect.signature(value).parameters)
    return [] if names == there else [f"documented are {names}, there are {there}"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_parameters_and_result_of_a_function_are_described_as_they_are(name):
    assert faults_of_parameters(FUNCTIONS[name], FUNCTIONS) + faults_of_result(FUNCTIONS[name]) == []


@pytest.mark.parametrize("name", CLASSES)
def test_fields_of_a_class_or_arguments_of_its_constructor_are_described_as_they_are(name):
    assert faults_of_class(CLASSES[name]) == []


@pytest.mark.parametrize("name", public())
def test_a_docstring_is_numpy_doc(name):
    assert [f"{code}: {text}" for code, text in validate(name, Docstring)["errors"] if code in CODES] == []


def right(a, *, b=1):
    """The sum of both.

    Parameters
    ----------
    a : int
        One.
    b : as in `pair`
    """


def pair(b):
    """What `right` refers to.

    Parameters
    ----------
    b : int
    """


KNOWN = {"tests.pair": pair}
PLANTED = {
    "a parameter by another name": ("a : int", "c : int", "documented are ['c', 'b']"),
    "a parameter without a type": ("a : int", "a", "a has no type"),
    "a parameter that is left out": ("    a : int\n        One.\n", "", "documented are ['b']"),
    "two in the wrong order": ("a : int\n        One.\n    b : as in `pair`", "b : int\n    a : int", "['b', 'a']"),
    "no section": ("Parameters\n    ----------\n", "", "documented are []"),
    "a reference to a function without the parameter": ("b : as", "a : as", "pair does not describe a"),
    "a reference to nothing": ("`pair`", "`triple`", "triple does not describe b"),
    "a summary that does not say what comes back": ("The sum of", "Add", "the summary begins with 'Add'"),
    "a summary that is no noun phrase": ("The sum", "Returns the sum", "the summary begins with 'Returns'"),
}


def with_docstring(function, text):
    planted = type(function)(function.__code__, globals())
    planted.__kwdefaults__, planted.__doc__ = function.__kwdefaults__, text
    return planted


def test_a_right_docstring_has_no_fault():
    assert faults_of_parameters(right, KNOWN) + faults_of_result(right) == []


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name):
    there, planted, words = PLANTED[name]
    assert there in right.__doc__
    function = with_docstring(right, right.__doc__.replace(there, planted))
    assert any(words in fault for fault in faults_of_parameters(function, KNOWN) + faults_of_result(function))


@pytest.mark.parametrize(
    ("there", "planted"), [("second : str", "third : str"), ("first : int\n    ", ""), (" : str", "")]
)
def test_a_planted_fault_in_a_class_is_found(there, planted):
    text = "Two.\n\n    Attributes\n    ----------\n    first : int\n    second : str\n    "
    right = namedtuple("Two", ["first", "second"])
    right.__doc__ = text
    assert faults_of_class(right) == []
    right.__doc__ = text.replace(there, planted)
    assert len(faults_of_class(right)) == 1
