"""Every function of CuPy that the tables call exists in the CuPy installed, and takes the arguments that it is given.

This needs CuPy but no device: names and signatures are looked up, nothing is computed.
"""

from __future__ import annotations

import ast
import inspect
import textwrap

import numpy as np
import pytest

from refgrad.backend import numpy_text
from refgrad.backend.base import ELEMENTWISE, Backend

cupy = pytest.importorskip("cupy", reason="CuPy is not installed")


@pytest.fixture(scope="module")
def table():
    from refgrad.backend.cupy import CuPy

    return CuPy


def dotted(node):
    """The names of an attribute chain, such as ["self", "xp", "linalg", "solve"]; empty for anything else."""
    names = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return [node.id, *names[::-1]] if isinstance(node, ast.Name) else []


def calls(source):
    """Every call of a dotted name: the names, the number of positional arguments, the keywords; None for starred."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and dotted(node.func):
            starred = any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords)
            yield dotted(node.func), None if starred else len(node.args), [k.arg for k in node.keywords]


def takes(function, count, keywords):
    """Whether a function of CuPy takes so many arguments and these keywords."""
    if isinstance(function, cupy.ufunc):
        return count is None or (count == function.nin and set(keywords) <= {"out", "dtype", "casting"})
    try:
        signature = inspect.signature(function)
    except ValueError:  # compiled: that it is there must do
        return True
    try:
        return count is None or signature.bind(*[None] * count, **dict.fromkeys(keywords)) is not None
    except TypeError:
        return False


def missing(found, roots):
    """What is called of the libraries in `roots` and not there, or not with these arguments."""
    wrong = []
    for names, count, keywords in found:
        prefix = next((p for p in roots if tuple(names[: len(p)]) == p), None)
        if prefix is None:
            continue
        value, path = roots[prefix], names[len(prefix) :]
        for name in path:
            value = getattr(value, name, None)
        if value is None or not takes(value, count, keywords):
            wrong.append((".".join(names), count, keywords))
    return wrong


def inherited(table):
    """The source of those methods of `Backend` that CuPy's table does not override."""
    names = [n for n, m in vars(Backend).items() if inspect.isfunction(m) and n not in vars(table)]
    return "\n".join(textwrap.dedent(inspect.getsource(vars(Backend)[n])) for n in names)


def test_the_walk_sees_what_is_not_there_and_what_is_called_wrongly():
    source = "cupy.no_such(x)\ncupy.exp(x)\ncupy.exp(x, y)\ncupy.cumsum(x, axes=1)\ncupy.linalg.solve(a, b)"
    assert missing(calls(source), {("cupy",): cupy}) == [
        ("cupy.no_such", 1, []),
        ("cupy.exp", 2, []),
        ("cupy.cumsum", 1, ["axes"]),
    ]


def test_the_table_of_cupy_calls_what_cupy_has(table):
    from refgrad.backend import cupy as module

    roots = {("cupy",): cupy, ("cupyx",): module.cupyx, ("special",): module.special}
    found = list(calls(inspect.getsource(module)))
    assert len([names for names, _, _ in found if (names[0],) in roots]) > 20
    assert not missing(found, roots)


def test_the_methods_it_inherits_call_what_cupy_has(table):
    found = list(calls(inherited(table)))
    assert len([names for names, _, _ in found if names[:2] == ["self", "xp"]]) > 15
    assert not missing(found, {("self", "xp"): cupy})


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_elementwise_function_is_cupys_with_as_many_arguments(table, name):
    function = getattr(table, name)
    if isinstance(function, cupy.ufunc):
        assert function.nin == ELEMENTWISE[name].arguments
    else:
        assert callable(function)
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        assert len([p for p in parameters if p.default is p.empty]) == ELEMENTWISE[name].arguments


def test_functions_in_numpys_names_reach_cupy_by_the_same_names(table):
    ours = [f for f in vars(table).values() if isinstance(f, staticmethod)]
    ours = [f.__func__ for f in ours if getattr(f.__func__, "__module__", "") == numpy_text.__name__]
    assert len(ours) >= 2
    for function in ours:
        for names, count, keywords in calls(textwrap.dedent(inspect.getsource(function))):
            if names[0] != "np" or names[1] in ("errstate", "dtype", "result_type"):
                continue
            theirs = np
            for name in names[1:]:
                theirs = getattr(theirs, name)
            if theirs in (np.empty, np.zeros, np.ones, np.arange):  # which take no array to hand on
                pytest.fail(f"{function.__name__} makes an array on the host by {'.'.join(names)}")
            assert not missing([(names, count, keywords)], {("np",): cupy}), function.__name__
