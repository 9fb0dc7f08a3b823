"""The first lines of a program's function: take the arguments apart, and see whether they are those it was made for."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.staging.program import Input, Program, Static
from refgrad.tree import Structure

__all__ = ["described", "guard", "unpacking"]

WIDTH = 88
QUOTES = ("' ", '" ', " '", ' "')  # a string with a space in it must not be broken

LITERALS = (bool, int, str, bytes, type(None))


def unpacking(program: Program, arguments: Sequence[str], names: Sequence[str | None]) -> list[str]:
    """The statements that give every leaf in a container its name, after a check of that container."""
    args, kwargs = program.arguments.children
    lines: list[str] = []
    remaining = iter(names)
    for path, child in zip(arguments, (*args.children, *kwargs.children), strict=True):
        _unpack(child, path, remaining, arguments, lines)
    return lines


def _unpack(structure: Structure, path: str, names: Any, arguments: Sequence[str], lines: list[str]) -> None:
    if structure.kind == "leaf":
        name = next(names)
        if name != path:
            lines.append(f"{name} = {path}")
        return
    call = f"return otherwise({', '.join(arguments)})"
    if structure.kind == "none":
        lines.append(f"if {path} is not None:\n    {call}")
        return
    kind = structure._type()
    count = len(structure.children)
    if structure.kind in ("list", "tuple", "namedtuple"):
        builtin = kind.__name__ if kind in (list, tuple) else None
        check = f"type({path}) is not {builtin} or len({path}) != {count}" if builtin else f"len({path}) != {count}"
        lines.append(f"if {check}:\n    {call}")
        if count and all(child.kind == "leaf" for child in structure.children):
            lines.append(f"{', '.join(next(names) for _ in range(count))}{',' if count == 1 else ''} = {path}")
            return
        paths = [f"{path}[{i}]" for i in range(count)]
    elif structure.kind == "dict":
        keys = "{" + ", ".join(repr(key) for key in structure.keys) + "}" if structure.keys else "set()"
        builtin = "type({0}) is not dict or " if kind is dict else ""
        lines.append(f"if {builtin.format(path)}{path}.keys() != {keys}:\n    {call}")
        paths = [f"{path}[{key!r}]" for key in structure.keys]
    else:
        paths = [f"{path}.{key}" for key in structure.keys]
    for child, inner in zip(structure.children, paths, strict=True):
        _unpack(child, inner, names, arguments, lines)


def guard(
    program: Program,
    arguments: Sequence[str],
    names: Sequence[str | None],
    exported: bool,
    statics: dict[str, Any],
    free: Callable[[str | None], str],
) -> list[str]:
    """The statement that hands other types, dtypes, shapes and static values to ``otherwise``."""
    tests = []
    arrays = []
    for leaf, name in zip(program.leaves, names, strict=True):
        if isinstance(leaf, Static):
            if isinstance(leaf.value, LITERALS):
                test = f"{name} is {leaf.value}" if leaf.value is None else f"{name} == {leaf.value!r}"
                tests.append(test if leaf.value is None else f"type({name}) is {type(leaf.value).__name__} and {test}")
            elif not exported:
                held = free("held")
                statics[held] = leaf.value
                tests.append(f"{name} is {held}")
        elif leaf.variable.type is np.ndarray:
            arrays.append((name, leaf.variable))
        elif leaf.variable.dtype is None:
            tests.append(f"type({name}) is float")
        else:
            tests.append(f"type({name}) is np.{leaf.variable.dtype.name}")
    if arrays:
        tests.append(" is ".join(f"type({name})" for name, _ in arrays) + " is np.ndarray")
        shapes = ", ".join(f"{name}.shape" for name, _ in arrays)
        wanted = ", ".join(repr(v.shape) for _, v in arrays)
        tests.append(f"({shapes}) == ({wanted})" if len(arrays) > 1 else f"{shapes} == {wanted}")
        for dtype in dict.fromkeys(np.dtype(v.dtype) for _, v in arrays):
            same = [f"{name}.dtype" for name, v in arrays if v.dtype == dtype]
            held = f"dtype_{dtype.name}"
            if exported:
                tests.append(f"{' == '.join(same)} == np.dtype('{dtype.name}')")
            else:  # the same object nearly always, and compared in half the time
                statics[held] = dtype
                tests.append(f"{' is '.join(same)} is {held}")
    if not tests:
        return []
    condition = "\n    and ".join(_wrapped(test) for test in tests)
    return [f"if not (\n    {condition}\n):\n    return otherwise({', '.join(arguments)})"]


def _wrapped(test: str) -> str:
    """A test that names many arrays, on several lines."""
    lines = textwrap.wrap(test, WIDTH, break_long_words=False, break_on_hyphens=False)
    return test if any(quote in test for quote in QUOTES) else "\n        ".join(lines)


def described(program: Program) -> str:
    """What the function takes: every argument with its dtypes and shapes."""
    args, kwargs = program.arguments.children
    leaves = iter(program.leaves)
    lines = [
        f"{name} : {_spelled(child, leaves)}"
        for name, child in zip((*program.positional, *program.keyword), (*args.children, *kwargs.children), strict=True)
    ]
    return "\n    ".join(lines) if lines else "No arguments."


def _spelled(structure: Structure, leaves: Any) -> str:
    if structure.kind == "leaf":
        leaf = next(leaves)
        return _kind(leaf)
    if structure.kind == "none":
        return "None"
    inside = [_spelled(child, leaves) for child in structure.children]
    if structure.kind == "dict":
        return "{" + ", ".join(f"{key!r}: {text}" for key, text in zip(structure.keys, inside, strict=True)) + "}"
    text = ", ".join(inside)
    if structure.kind == "list":
        return f"[{text}]"
    return f"({text}{',' if len(inside) == 1 else ''})"


def _kind(leaf: Input | Static) -> str:
    if isinstance(leaf, Static):
        return repr(leaf.value) if isinstance(leaf.value, LITERALS) else getattr(leaf.value, "__qualname__", "object")
    variable = leaf.variable
    if variable.dtype is None:
        return "float"
    return (
        f"{variable.dtype.name}{list(variable.shape)}" if variable.type is np.ndarray else f"np.{variable.dtype.name}"
    )
