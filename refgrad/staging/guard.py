"""The first lines of a program's function: take the arguments apart, and see whether they are those it was made for."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refgrad.staging.expressions import has_literal
from refgrad.staging.program import OTHERWISE, Input, Program, Static
from refgrad.tree import Structure

__all__ = ["describe", "guard", "unpacking"]

WIDTH = 88

Holder = Callable[[Any, str], ast.expr]
"""What stands for an object in the text: a literal, or a name for it like the one asked for."""


def unpacking(
    program: Program, arguments: Sequence[str], names: Sequence[str | None], exported: bool, held: Holder
) -> list[str]:
    """The statements that give every leaf in a container its name, after a check of that container."""
    args, kwargs = program.arguments.children
    unpacker = _Unpacker(names, f"return {OTHERWISE}({', '.join(arguments)})", exported, held)
    for path, child in zip(arguments, (*args.children, *kwargs.children), strict=True):
        unpacker.unpack(child, path)
    return unpacker.lines


class _Unpacker:
    def __init__(self, names: Sequence[str | None], way_out: str, exported: bool, held: Holder) -> None:
        self.names = iter(names)
        self.way_out, self.exported, self.held = way_out, exported, held
        self.lines: list[str] = []

    def unpack(self, structure: Structure, path: str) -> None:
        """Take apart what is found at `path`."""
        if structure.kind == "leaf":
            name = next(self.names)
            if name != path:
                self.lines.append(f"{name} = {path}")
            return
        test = self._test(structure, path)
        if test:
            self.lines.append(f"if {test}:\n    {self.way_out}")
        children, count = structure.children, len(structure.children)
        if structure.kind in ("list", "tuple", "namedtuple"):
            if count and all(child.kind == "leaf" for child in children):
                names = ", ".join(str(next(self.names)) for _ in range(count))
                self.lines.append(f"{names}{',' if count == 1 else ''} = {path}")
                return
            paths = [f"{path}[{i}]" for i in range(count)]
        elif structure.kind == "dict":
            paths = [f"{path}[{self._text(key, 'key')}]" for key in structure.keys]
        else:
            paths = [f"{path}.{key}" for key in structure.keys]
        for child, inner in zip(children, paths, strict=True):
            self.unpack(child, inner)

    def _text(self, value: Any, wanted: str) -> str:
        return ast.unparse(self.held(value, wanted))

    def _test(self, structure: Structure, path: str) -> str:
        """What is true of a container that the program was not made for."""
        if structure.kind == "none":
            return f"{path} is not None"
        kind = structure._type()
        if kind in (list, tuple, dict):
            tests = [f"type({path}) is not {kind.__name__}"]
        else:  # a module of its own does not know the type, only what it holds
            tests = [] if self.exported else [f"type({path}) is not {self._text(kind, kind.__name__)}"]
        if structure.kind in ("list", "tuple") or (structure.kind == "namedtuple" and self.exported):
            tests.append(f"len({path}) != {len(structure.children)}")
        elif structure.kind == "dict" and self.exported:
            keys = ", ".join(self._text(key, "key") for key in structure.keys)
            tests.append(f"{path}.keys() != {{{keys}}}" if keys else path)
        elif structure.kind == "dict":  # their order is that in which f goes through them
            tests.append(f"[*{path}] != [{', '.join(self._text(key, 'key') for key in structure.template[1])}]")
        return " or ".join(tests)


def guard(
    program: Program, arguments: Sequence[str], names: Sequence[str | None], exported: bool, held: Holder
) -> list[str]:
    """The statement that hands other types, dtypes, shapes and static values to ``otherwise``.

    So it does, in this process, what was recorded with other surroundings.
    """
    tests = [] if exported else [variable.test(held) for variable in program.outside]
    arrays = []
    for leaf, name in zip(program.leaves, names, strict=True):
        if isinstance(leaf, Static):
            tests.extend(_static_tests(str(name), leaf.value, exported, held))
        elif leaf.variable.type is np.ndarray:
            arrays.append((name, leaf.variable))
        elif leaf.variable.dtype is None:
            tests.append(f"type({name}) is float")
        else:
            tests.append(f"type({name}) is np.{leaf.variable.type.__name__}")
    if arrays:
        tests.append(_wrap(" is ".join(f"type({name})" for name, _ in arrays) + " is np.ndarray"))
        shapes = ", ".join(f"{name}.shape" for name, _ in arrays)
        wanted = ", ".join(repr(v.shape) for _, v in arrays)
        tests.append(_wrap(f"({shapes}) == ({wanted})" if len(arrays) > 1 else f"{shapes} == {wanted}"))
        for dtype in dict.fromkeys(np.dtype(v.dtype) for _, v in arrays):
            same = [f"{name}.dtype" for name, v in arrays if v.dtype == dtype]
            if exported:
                tests.append(_wrap(f"{' == '.join(same)} == np.dtype('{dtype.name}')"))
            else:  # the same object nearly always, and compared in half the time
                tests.append(_wrap(f"{' is '.join(same)} is {ast.unparse(held(dtype, f'dtype_{dtype.name}'))}"))
    if not tests:
        return []
    condition = "\n    and ".join(tests)
    return [f"if not (\n    {condition}\n):\n    return {OTHERWISE}({', '.join(arguments)})"]


def _static_tests(name: str, value: Any, exported: bool, held: Holder) -> list[str]:
    if value is None:
        return [f"{name} is None"]
    if has_literal(value):
        return [f"type({name}) is {type(value).__name__} and {name} == {value!r}"]
    return [] if exported else [f"{name} is {ast.unparse(held(value, 'held'))}"]


def _wrap(test: str) -> str:
    """A test that names many arrays, on several lines."""
    return "\n        ".join(textwrap.wrap(test, WIDTH, break_long_words=False, break_on_hyphens=False))


def describe(program: Program) -> str:
    """What the function takes: every argument with its dtypes and shapes."""
    args, kwargs = program.arguments.children
    leaves = iter(program.leaves)
    lines = [
        f"{name} : {_spell(child, leaves)}"
        for name, child in zip((*program.positional, *program.keyword), (*args.children, *kwargs.children), strict=True)
    ]
    # in a docstring, where a backslash or three quotes would mean something
    return "\n    ".join(lines).replace("\\", "\\\\").replace('"', '\\"') if lines else "No arguments."


def _spell(structure: Structure, leaves: Any) -> str:
    if structure.kind == "leaf":
        leaf = next(leaves)
        return _kind(leaf)
    if structure.kind == "none":
        return "None"
    inside = [_spell(child, leaves) for child in structure.children]
    if structure.kind == "dict":
        return "{" + ", ".join(f"{key!r}: {text}" for key, text in zip(structure.keys, inside, strict=True)) + "}"
    text = ", ".join(inside)
    if structure.kind == "list":
        return f"[{text}]"
    return f"({text}{',' if len(inside) == 1 else ''})"


def _kind(leaf: Input | Static) -> str:
    if isinstance(leaf, Static):
        return repr(leaf.value) if has_literal(leaf.value) else getattr(leaf.value, "__qualname__", "object")
    variable = leaf.variable
    if variable.dtype is None:
        return "float"
    return (
        f"{variable.dtype.name}{list(variable.shape)}" if variable.type is np.ndarray else f"np.{variable.dtype.name}"
    )
