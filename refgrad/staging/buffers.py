"""Buffer reuse: which operations of a program write into memory that is no longer needed.

A view (a transpose, a slice, a reshaped array) is the same memory as what it looks at, its *root*. The memory of a root
is free once no value with that root is read again. Arguments, constants and results are never written into. An
operation that works element by element may write into the memory of an operand that it is the last to read; any
operation, into memory that has become free before.
"""

from __future__ import annotations

import ast
from collections import Counter

import numpy as np

from refgrad.autodiff.record import Atom, Constant, Equation, Variable
from refgrad.staging.expressions import is_elementwise, ufunc_of
from refgrad.staging.program import Program

__all__ = ["SMALLEST", "VIEWS", "Plan", "plan", "roots", "row_major", "without_overlap"]

SMALLEST = 32768
"""In bytes. A smaller array is computed into fresh memory: finding that takes no longer than passing ``out=``."""

VIEWS = {"reshape", "transpose", "slice", "stop_gradient", "windows", "flip", "astype"}
"""Primitives whose result may be the memory of their first argument."""

ROW_MAJOR = {"pad", "broadcast_to", "scatter_add", "put_along_axis_add"}
"""Primitives whose result is laid out in the same way whatever their arguments are."""

OPERATORS = {
    ast.Add: "add",
    ast.Sub: "subtract",
    ast.Mult: "multiply",
    ast.Div: "divide",
    ast.MatMult: "matmul",
    ast.USub: "negative",
}
"""The functions behind the operators, which have ``out=``."""


class Plan:
    """What is known about the memory of a program's values."""

    def __init__(self, program: Program) -> None:
        self._roots = roots(program)
        self._uses: Counter[Variable] = Counter()
        self._last: dict[Variable, Equation] = {}
        self._made: set[Variable] = set()
        self._reshaped: set[Atom | None] = set()
        for equation in program.equations:
            y = equation.output
            first = equation.inputs[0] if equation.inputs else None
            if equation.primitive.name == "reshape" and (first in self._reshaped or self._roots.get(first) is first):
                self._reshaped.add(y)
            self._made.add(y)
            for a in equation.variables:
                self._uses[a] += 1
                self._last[self.root(a)] = equation
        results = [r for r in program.results if isinstance(r, Variable)]
        self._uses.update(results)
        self._kept = {self.root(r) for r in results}
        self._row_major = row_major(program)
        self._buffers = self._assign(program)

    def root(self, variable: Variable) -> Variable:
        """The value whose memory `variable` is."""
        return self._roots.get(variable, variable)

    def is_own(self, root: Variable) -> bool:
        """Whether the memory of a root is the program's own: that of no argument and no constant."""
        return root in self._made

    def is_whole(self, variable: Variable) -> bool:
        """Whether the value is memory of the program's own, all of it and in order, so that it can be given away."""
        root = self.root(variable)
        return self.is_own(root) and (root is variable or (root in self._row_major and variable in self._reshaped))

    def used_once(self, variable: Variable) -> bool:
        """Whether exactly one operand or result is this value."""
        return self._uses[variable] == 1

    def is_large(self, variable: Variable) -> bool:
        """Whether an array is large enough to care for its memory."""
        return variable.type is np.ndarray and variable.nbytes >= SMALLEST

    def buffer(self, equation: Equation) -> Variable | None:
        """The value into whose memory the result is to be written, if there is one."""
        return self._buffers.get(equation.output)

    def _assign(self, program: Program) -> dict[Variable, Variable]:
        """A free place for every large result that can have one, in the order of the equations."""
        places: dict[Variable, Variable] = {}
        free: list[Variable] = []
        for equation in program.equations:
            y = equation.output
            if self.is_large(y) and y in self._row_major and _has_out(equation):
                ending = [a for a in equation.variables if self._last.get(a) is equation and self._is_spare(a)]
                candidates = [*(ending if is_elementwise(equation.primitive) else ()), *free]
                fitting = [a for a in candidates if (a.shape, a.dtype) == (y.shape, y.dtype)]
                if fitting:
                    places[y] = fitting[0]
                    free = [a for a in free if a is not fitting[0]]
            taken = places.get(y)
            ended = dict.fromkeys(self.root(a) for a in equation.variables)
            free += [a for a in ended if self._last.get(a) is equation and self._is_spare(a) and a is not taken]
        return places

    def _is_spare(self, a: Variable) -> bool:
        """Whether the memory of `a`, once read for the last time, may be written into."""
        own = self.root(a) is a and a.type is np.ndarray and self.is_own(a)
        return own and a not in self._kept and a in self._row_major and self.is_large(a)

    def into(self, tree: ast.expr, buffer: str) -> ast.expr:
        """The expression with its result written into `buffer`."""
        out = ast.keyword("out", ast.Name(buffer, ast.Load()))
        if isinstance(tree, ast.BinOp):
            return ast.Call(_function(tree.op), [tree.left, tree.right], [out])
        if isinstance(tree, ast.UnaryOp):
            return ast.Call(_function(tree.op), [tree.operand], [out])
        assert isinstance(tree, ast.Call)
        return ast.Call(tree.func, tree.args, [*tree.keywords, out])


def _function(operator: ast.operator | ast.unaryop) -> ast.expr:
    return ast.Attribute(ast.Name("np", ast.Load()), OPERATORS[type(operator)], ast.Load())


def _has_out(equation: Equation) -> bool:
    return ufunc_of(equation.primitive) is not None or equation.primitive.name in (
        "add",
        "sub",
        "mul",
        "div",
        "neg",
        "matmul",
    )


def roots(program: Program) -> dict[Atom | None, Variable]:
    """For every value that an equation computes, the value whose memory it is."""
    found: dict[Atom | None, Variable] = {}
    for equation in program.equations:
        first = equation.inputs[0] if equation.inputs else None
        view = equation.primitive.name in VIEWS and isinstance(first, Variable)
        found[equation.output] = found.get(first, first) if view and isinstance(first, Variable) else equation.output
    return found


def without_overlap(program: Program) -> set[Variable]:
    """The values each element of which certainly has a place of its own: not those of a broadcast argument."""
    found: set[Variable] = set()
    for equation in program.equations:
        name, first = equation.primitive.name, equation.inputs[0] if equation.inputs else None
        if name != "windows" and (name not in VIEWS or isinstance(first, Constant) or first in found):
            found.add(equation.output)
    return found


def plan(program: Program) -> Plan:
    """The plan for a program."""
    return Plan(program)


def row_major(program: Program) -> set[Variable]:
    """The values that are in row-major order without gaps, whatever the layout of the arguments.

    A matrix product is, and so is a stack of them along one axis, an elementwise result all of whose operands of full
    shape are, a new array with one axis only, and what has been such a value and has another shape now. For the others
    the order of the axes in memory follows the arguments, and with it the last bits of a later sum or product may
    change.
    """
    found: set[Variable] = set()

    def is_row_major(a: Atom) -> bool:
        return a in found if isinstance(a, Variable) else bool(np.asarray(a.value).flags.c_contiguous)

    for equation in program.equations:
        y, name = equation.output, equation.primitive.name
        if y.type is not np.ndarray:
            continue
        single = name == "matmul" and sum(n != 1 for n in y.shape[:-2]) < 2
        if single or name in ROW_MAJOR or (name not in VIEWS and sum(n != 1 for n in y.shape) < 2):
            found.add(y)
        elif name == "reshape":
            found.update([y] if is_row_major(equation.inputs[0]) else [])
        elif name == "transpose":
            long = [a for a in equation.params["axes"] if _shape(equation.inputs[0])[a] != 1]
            found.update([y] if long == sorted(long) and is_row_major(equation.inputs[0]) else [])
        elif is_elementwise(equation.primitive):
            full = [a for a in equation.inputs if _shape(a) == y.shape]
            if full and all(is_row_major(a) for a in full):
                found.add(y)
    return found


def _shape(a: Atom) -> tuple[int, ...]:
    return a.shape if isinstance(a, Variable) else np.shape(a.value)
