"""What the project promises of itself: what an import brings, what is documented, what is proved."""

from __future__ import annotations

import ast
import doctest
import importlib
import importlib.metadata
import importlib.util
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
    assert set(extras) == {"verify", "exact", "experiments", "gpu", "plot"}


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


def labels(root):
    """The join that the site shows, from the same file."""
    spec = importlib.util.spec_from_file_location("labels", TESTS.parent / "docs" / "_ext" / "labels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.labels(root)


def test_every_labelled_equation_has_a_line_that_evaluates_it_and_a_test_that_proves_it():
    found = labels(TESTS.parent)
    assert len(found) >= 12
    assert {name: label.lacks() for name, label in found.items() if label.lacks()} == {}


@pytest.mark.parametrize(
    ("gone", "word"), [(":label: a", "a formula"), ("# eq: a", "a line"), ('pytest.mark.proves("a")', "a test")]
)
def test_a_label_that_is_alone_is_found(tmp_path, gone, word):
    files = {
        "refgrad/one.py": '"""\n.. math:: x\n   :label: a\n"""\nx = 1  # eq: a\n',
        "tests/test_one.py": 'import pytest\n@pytest.mark.proves("a")\ndef test_one(): pass\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text.replace(gone, "pytest.mark.gpu" if "proves" in gone else ""))
    lacking = labels(tmp_path)["a"].lacks()
    assert len(lacking) == 1
    assert lacking[0].startswith(word)
