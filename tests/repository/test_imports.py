"""The graph of all imports, late and type-checking ones too: no circles, and one arrow that runs up, at the door."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import refgrad

PACKAGE = Path(refgrad.__file__).parent

GROUND = ["errors", "typing", "accuracy", "plot data", "backend", "tree", "exact"]
COMPUTES = [*GROUND, "autodiff", "numpy", "staging", "linalg models", "implicit multitask continual meta"]
JUDGES = [*GROUND, "strategies", "contracts", "theory", "conformance"]
DOORS = {
    "refgrad",
    "refgrad.__main__",
    "refgrad.cli",
    "refgrad.experiments",
    "refgrad.identification",
    "refgrad.pytest_plugin",
}

HOMES = {
    "hypothesis": {
        "refgrad.strategies",
        "refgrad.strategies.matrices",
        "refgrad.strategies.numbers",
        "refgrad.conformance.judging.sweep",
    },
    "flint": {"refgrad.backend.exact.rationals", "refgrad.backend.exact.balls"},
    "cupy": {"refgrad.backend.cupy"},
    "matplotlib": {"refgrad.plot", "refgrad.experiments.auxilearn"},
    "sklearn": {"refgrad.data"},
    "rich": {"refgrad.cli", "refgrad.conformance.demo", "refgrad.conformance.report.terminal"},
}
"""Which modules import a library that not everybody has; Hypothesis also in every ``problems``."""


def modules(package):
    """The files of a package by their modules' names."""
    found = {}
    for path in package.rglob("*.py"):
        parts = (package.name, *path.relative_to(package).with_suffix("").parts)
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path):
    """Every ``import x`` as (x, None) and ``from x import y`` as (x, y), wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from ((node.module, alias.name) for alias in node.names)


def graph(package):
    """The modules that each module imports. A name that an ``__init__`` hands on counts as its home's."""
    files = modules(package)
    handed = {name: {} for name in files}
    for name, path in files.items():
        if path.name == "__init__.py":
            handed[name] = {word: source for source, word in imports(path) if word and source in files}

    def home(source, word):
        giver = handed[source].get(word)
        if giver not in (None, source):
            return home(giver, word)
        return f"{source}.{word}" if f"{source}.{word}" in files else source

    arrows = {}
    for name, path in files.items():
        inside = [(s, w) for s, w in imports(path) if s in files]
        arrows[name] = {home(s, w) for s, w in inside if home(s, w) != name}
        defines = any(isinstance(n, (ast.FunctionDef, ast.ClassDef)) for n in ast.parse(path.read_text()).body)
        if path.name == "__init__.py" and not defines:  # a face: it only hands on
            arrows[name] = set()
    return arrows


def circles(arrows):
    """The sets of modules of which each reaches each other: pairs of reachability, which small graphs allow."""
    reach = {name: set(targets) for name, targets in arrows.items()}
    for middle in arrows:
        for name in arrows:
            if middle in reach[name]:
                reach[name] |= reach[middle]
    return {frozenset(m for m in reach[n] if n in reach[m]) for n in arrows if n in reach[n]}


def floor(module, tower):
    """The number of the floor of a module; None if it is in the other tower or at a door."""
    room = module.split(".")[1] if "." in module else ""
    return next((i for i, rooms in enumerate(tower) if room in rooms.split()), None)


ARROWS = graph(PACKAGE)


def test_no_module_imports_itself_by_way_of_others():
    assert len(ARROWS) > 200
    assert circles(ARROWS) == set()


def test_one_arrow_runs_up_and_that_is_at_the_door():
    up = set()
    for module, targets in ARROWS.items():
        for tower in (COMPUTES, JUDGES):
            here = floor(module, tower)
            up |= {(module, t) for t in targets if here is not None and (floor(t, tower) or 0) > here}
    assert up == {("refgrad.autodiff", "refgrad.numpy.methods")}


def test_neither_tower_knows_the_other_and_every_module_stands_in_one_or_at_a_door():
    both = {name: (floor(name, COMPUTES), floor(name, JUDGES)) for name in ARROWS}
    outside = {name for name, floors in both.items() if floors == (None, None)}
    assert {".".join(name.split(".")[:2]) for name in outside} == DOORS
    for module, targets in ARROWS.items():
        if module in outside:
            continue
        for target in targets - {"refgrad"}:  # its version and its place
            assert any(a is not None and b is not None for a, b in zip(both[module], both[target], strict=True)), (
                f"{module} imports {target}"
            )


def test_families_are_independent():
    families = {*COMPUTES[-1].split()}
    for module, targets in ARROWS.items():
        room = module.split(".")[1:2]
        if room and room[0] in families:
            assert {t.split(".")[1] for t in targets if "." in t} & families <= {room[0]}, module
        if room == ["contracts"] and module.count(".") == 3 and ".tools." not in module:
            family = module.split(".")[2]
            inside = {t.split(".")[2] for t in targets if t.startswith("refgrad.contracts.") and t.count(".") == 3}
            assert inside <= {family, "tools"}, module


def test_libraries_that_not_everybody_has_are_imported_where_they_are_needed():
    for name, path in modules(PACKAGE).items():
        for source, _ in imports(path):
            library = source.partition(".")[0]
            allowed = HOMES.get(library)
            by_contract = library == "hypothesis" and name.endswith(".problems")
            assert allowed is None or name in allowed or by_contract, f"{name} imports {source}"


def test_a_circle_by_a_late_import_and_one_for_types_alone_is_found(tmp_path):
    package = tmp_path / "p"
    package.mkdir()
    (package / "__init__.py").write_text("from p.a import f\n")
    (package / "a.py").write_text("def f():\n    from p.b import g\n")
    (package / "b.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p import f\n")
    (package / "c.py").write_text("from p import a, f\n")
    found = graph(package)
    assert found == {"p": set(), "p.a": {"p.b"}, "p.b": {"p.a"}, "p.c": {"p.a"}}
    assert circles(found) == {frozenset({"p.a", "p.b"})}


def test_with_refgrad_imported_threads_may_enter_by_different_doors_at_once():
    program = """
import sys, threading, numpy as np, refgrad
sys.setswitchinterval(1e-6)
names = ["autodiff.core", "numpy.nn", "multitask", "exact", "numpy.methods", "tree", "linalg", "meta", "accuracy"]
found, start = [], threading.Barrier(len(names))
def enter(name):
    start.wait()
    __import__(f"refgrad.{name}")
    x = np.array([1.0, 2.0])
    found.append(refgrad.grad(lambda x: (x.sum() + np.sum(x * x) + x @ x) / 1)(x).tolist())
threads = [threading.Thread(target=enter, args=(name,)) for name in names]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(found == [[5.0, 9.0]] * len(names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True", done.stderr
