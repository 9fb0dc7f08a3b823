"""What the project promises of itself: what an import brings, what is documented, what is proved."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import refgrad

PACKAGE = Path(refgrad.__file__).parent
TESTS = Path(__file__).parents[1]
SOURCES = sorted(PACKAGE.rglob("*.py"))
NEEDS_A_DEVICE = {"refgrad.backend.cupy"}
MODULES = [
    m.name
    for m in pkgutil.walk_packages([str(PACKAGE)], "refgrad.")
    if m.name not in NEEDS_A_DEVICE | {"refgrad.__main__"}
]


def python(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout


def test_importing_refgrad_brings_numpy_and_nothing_heavy():
    heavy = ["scipy", "hypothesis", "rich", "flint", "torch", "jax", "cupy", "matplotlib"]
    program = f"import sys, refgrad; refgrad.grad, refgrad.numpy; print([m for m in {heavy} if m in sys.modules])"
    assert python(program).strip() == "[]"


def test_the_package_requires_numpy_and_scipy_and_the_rest_by_extras():
    required = importlib.metadata.requires("refgrad")
    names = {re.match(r"[\w-]+", r).group() for r in required if "extra ==" not in r}
    assert names == {"numpy", "scipy"}
    extras = {re.search(r"extra == .(\w+)", r).group(1): r for r in required if "extra ==" in r}
    assert set(extras) == {"verify", "exact", "gpu", "plot"}


@pytest.mark.parametrize("name", refgrad.__all__)
def test_every_public_name_is_found_and_described(name):
    value = getattr(refgrad, name)
    assert value.__doc__
    assert name in dir(refgrad)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'gradient_descent'"):
        refgrad.gradient_descent


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    module = importlib.import_module(name)
    failures, _ = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert failures == 0


@pytest.mark.parametrize("name", MODULES)
def test_every_public_definition_has_a_docstring_and_every_public_list_is_true(name):
    module = importlib.import_module(name)
    assert module.__doc__, f"{name} has no docstring"
    for public in getattr(module, "__all__", ()):
        assert hasattr(module, public), f"{name}.__all__ lists {public}"
    tree = ast.parse(Path(module.__file__).read_text())
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}.{node.name}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_file_is_one_idea(path):
    assert len(path.read_text().splitlines()) <= 400


def test_every_labelled_equation_has_a_line_that_evaluates_it_and_a_test_that_proves_it():
    text = "\n".join(p.read_text() for p in SOURCES)
    labels = set(re.findall(r":label: ([\w-]+)", text))
    lines = set(re.findall(r"# eq: ([\w-]+)", text))
    proved = set()
    for path in TESTS.rglob("test_*.py"):
        for marker in re.findall(r"pytest\.mark\.proves\(([^)]*)\)", path.read_text()):
            proved |= set(re.findall(r'"([\w-]+)"', marker))
    assert labels, "no labelled equation found"
    assert lines == labels
    assert proved == labels
