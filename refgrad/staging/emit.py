"""A program as the text of a Python function: straight-line NumPy, nothing else.

Values used once and without a name of their own stand inside the expression that uses them. Large arrays are computed
into the memory of an operand that nobody needs any more (`refgrad.staging.buffers`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.autodiff.record import Atom, Constant, Equation, Variable
from refgrad.backend import numpy_text
from refgrad.staging.buffers import Plan, plan
from refgrad.staging.constants import Constants
from refgrad.staging.expressions import expression, has_literal, literal
from refgrad.staging.guard import describe, guard, unpacking
from refgrad.staging.program import OTHERWISE, Input, Program, Static
from refgrad.staging.provenance import identifier
from refgrad.tree.containers import LEAF

__all__ = ["Text", "emit"]

LONGEST = 72
"""Expressions of more characters are broken up into statements."""

RESERVED = {"np", "special", OTHERWISE, "type", "len", "bool", "bytes", "dict", "float", "int", "list", "str", "tuple"}
"""Names with a meaning of their own in the text."""


@dataclass(frozen=True)
class Text:
    """A program written down.

    Attributes
    ----------
    name : str
        Of the function.
    function : str
        Its definition.
    constants : Constants
        The arrays it refers to.
    statics : dict
        The other objects it refers to.
    helpers : tuple of str
        The functions of `refgrad.backend.numpy_text` that it calls.
    """

    name: str
    function: str
    constants: Constants
    statics: dict[str, Any]
    helpers: tuple[str, ...]


class Names:
    """Names that are not taken yet."""

    def __init__(self) -> None:
        self.taken = {*RESERVED, *numpy_text.__all__}
        self.latest: dict[str, int] = {}  # a loop of a thousand steps has a thousand values of one name

    def free(self, wanted: str | None, letter: str = "t") -> str:
        """`wanted`, with a number if it is taken; if None, the next of t1, t2, ..."""
        name = f"{letter}1" if wanted is None else wanted
        stem = letter if wanted is None else f"{wanted}_"
        k = self.latest.get(stem, 1)
        while name in self.taken:
            k += 1
            name = f"{stem}{k}"
        self.latest[stem] = k
        self.taken.add(name)
        return name


def emit(program: Program, *, exported: bool) -> Text:
    """The function of a program.

    Parameters
    ----------
    program : Program
    exported : bool
        Whether the text must stand alone: then large constants are keyword arguments and types of containers that
        NumPy does not know are not checked.
    """
    return _Writer(program, exported).text()


class _Writer:
    def __init__(self, program: Program, exported: bool) -> None:
        self.program, self.exported = program, exported
        self.names = Names()
        self.constants = Constants(exported)
        self.statics: dict[str, Any] = {}
        self.called: dict[Variable, str] = {}
        self.name = self.names.free(program.name)
        self.plan: Plan = plan(program)
        self.held: dict[Variable, ast.expr] = {}
        self.inside: dict[Variable, ast.expr] = {}
        self.lines: list[str] = []
        self.arguments = [self.names.free(identifier(n)) for n in (*program.positional, *program.keyword)]

    def text(self) -> Text:
        program = self.program
        self._name_inputs()
        for equation in program.equations:
            self._equation(equation)
        returned = self._results()
        body = [
            *unpacking(program, self.arguments, self.input_names, self.exported, self.static),
            *guard(program, self.arguments, self.input_names, self.exported, self.static),
            *self.lines,
            f"return {returned}",
        ]
        helpers = _helpers("\n".join([*self.lines, returned]))
        head = self._head()
        document = f'    """Recorded by refgrad for\n\n    {describe(program)}\n    """'
        lines = [head, document, *(f"    {line}" for chunk in body for line in chunk.split("\n"))]
        return Text(self.name, "\n".join(lines) + "\n", self.constants, self.statics, helpers)

    def _head(self) -> str:
        large = self.constants.arguments if self.exported else []
        return f"def {self.name}({', '.join([*self.arguments, *(['*', *large] if large else [])])}):"

    def _name_inputs(self) -> None:
        """Inputs that are arguments are called like these; the others get names of their own."""
        program = self.program
        direct = _direct(program, self.arguments)
        self.input_names: list[str | None] = []
        for i, leaf in enumerate(program.leaves):
            if direct[i] is not None:
                name = direct[i]
            elif isinstance(leaf, Input):
                name = self.names.free(program.names.name(leaf.variable) or leaf.name)
            else:
                name = self.names.free("static")
            self.input_names.append(name)
            if isinstance(leaf, Input) and name is not None:
                self.called[leaf.variable] = name

    def _equation(self, equation: Equation) -> None:
        tree = expression(equation, [self._operand(a) for a in equation.inputs])
        text = ast.unparse(tree)
        if len(text) > LONGEST:
            self._write_statements(equation.variables)
            tree = expression(equation, [self._operand(a) for a in equation.inputs])
            text = ast.unparse(tree)
        y = equation.output
        for a in equation.variables:
            self.held.pop(a, None)
        if _is_transpose(tree):  # costs next to nothing, and reads best where it is used
            self.inside[y] = tree
            return
        wanted = self.program.names.name(y)
        if wanted is None and len(text) <= LONGEST and self.plan.used_once(y) and not self.plan.is_large(y):
            self.held[y] = tree
            return
        buffer = self.plan.buffer(equation)
        if buffer is not None:  # what is held back may read the memory that is written to now
            self._write_statements(list(self.held))
        self._statement(y, tree, text, wanted, buffer)

    def _write_statements(self, variables: Sequence[Variable]) -> None:
        """Give values a statement of their own, where they were to stand inside another."""
        for variable in variables:
            if variable in self.held:
                tree = self.held.pop(variable)
                self._statement(variable, tree, ast.unparse(tree), None, None)

    def _statement(self, y: Variable, tree: ast.expr, text: str, wanted: str | None, buffer: Variable | None) -> None:
        if buffer is not None:
            place = self.called[buffer]
            nameless = wanted is None and self.program.names.name(buffer) is None
            if nameless and isinstance(tree, ast.BinOp) and ast.unparse(tree.left) == place:
                self.called[y] = place
                line = ast.unparse(ast.AugAssign(ast.Name(place, ast.Store()), tree.op, tree.right))
                self.lines.append(f"{line}{_comment(y)}")
                return
            text = ast.unparse(self.plan.into(tree, place))
        name = self.called[y] = self.names.free(wanted)
        self.lines.append(f"{name} = {text}{_comment(y)}")

    def _operand(self, atom: Atom) -> ast.expr:
        if isinstance(atom, Constant):
            return self.constants.expression(atom, lambda: self.names.free(self.program.names.name(atom), "c"))
        if atom in self.inside:
            return self.inside[atom]
        return self.held[atom] if atom in self.held else ast.Name(self.called[atom], ast.Load())

    def _results(self) -> str:
        """The results in their containers; none shares memory with an argument, a constant or another result."""
        leaves: list[ast.expr] = []
        given: set[Variable] = set()
        for result in self.program.results:
            leaves.append(self._result(result, given))
        return ast.unparse(_container(self.program, iter(leaves), self))

    def _result(self, result: Variable | Constant | Static, given: set[Variable]) -> ast.expr:
        if isinstance(result, Static):
            return self.static(result.value, "value")
        tree = self._operand(result)
        if isinstance(result, Variable):
            root = self.plan.root(result)
            mine = result.type is not np.ndarray or (root not in given and self.plan.is_whole(result))
            given.add(root)
        else:
            mine = not isinstance(result.value, np.ndarray)
        return tree if mine else ast.Call(ast.Attribute(tree, "copy", ast.Load()), [], [])

    def static(self, value: Any, wanted: str) -> ast.expr:
        """An object that is no array: a literal if it has one, else a name for it."""
        if has_literal(value):
            return literal(value)
        for name, held in self.statics.items():
            if held is value:
                return ast.Name(name, ast.Load())
        name = self.names.free(identifier(wanted))
        self.statics[name] = value
        return ast.Name(name, ast.Load())


def _direct(program: Program, arguments: Sequence[str]) -> list[str | None]:
    """For every leaf the name of its argument, if the argument is the leaf."""
    names: list[str | None] = []
    args, kwargs = program.arguments.children
    for child, name in zip((*args.children, *kwargs.children), arguments, strict=True):
        names.extend([name] if child.kind == "leaf" else [None] * child.size)
    return names


def _container(program: Program, leaves: Iterator[ast.expr], writer: _Writer) -> ast.expr:
    def build(structure: Any) -> ast.expr:
        if structure.kind == "leaf":
            return next(leaves)
        if structure.kind == "none":
            return ast.Constant(None)
        children = [build(child) for child in structure.children]
        if structure.kind == "tuple" and structure.template is tuple:
            return ast.Tuple(children, ast.Load())
        if structure.kind == "list" and structure.template is list:
            return ast.List(children, ast.Load())
        if structure.kind == "dict" and structure.template[0] is dict:
            entries = dict(zip(structure.keys, children, strict=True))
            return ast.Dict(
                [writer.static(key, "key") for key in structure.template[1]],
                [entries[key] for key in structure.template[1]],
            )
        together = writer.static(_Builder(structure), structure._type().__name__)
        return ast.Call(together, children, [])

    return build(program.structure)


class _Builder:
    """Puts parts into a container of a type that has no literal."""

    def __init__(self, structure: Any) -> None:
        self.structure = structure

    def __call__(self, *parts: Any) -> Any:
        structure = self.structure
        if structure.kind == "namedtuple":
            return structure.template(*parts)
        leaf_level = type(structure)(structure.kind, structure.template, structure.keys, (LEAF,) * len(parts))
        return leaf_level.unflatten(parts)


def _is_transpose(tree: ast.expr) -> bool:
    return isinstance(tree, ast.Attribute) and tree.attr == "T" and isinstance(tree.value, ast.Name)


def _comment(y: Variable) -> str:
    return f"  # {y.shape}" if y.shape else ""


def _helpers(body: str) -> tuple[str, ...]:
    """The plain functions that the text calls, in a fixed order."""
    return tuple(name for name in numpy_text.__all__ if re.search(rf"(?<![\w.]){name}\(", body))
