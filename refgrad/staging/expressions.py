"""An equation as a Python expression, written as a person would: ``x.sum(axis=0)``, ``W.T``, ``y[1:3]``.

Expressions are syntax trees, so operands go into one another with the parentheses that they need and no others.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from refgrad.autodiff.core import Primitive
from refgrad.autodiff.record import Atom, Equation, Variable

__all__ = ["expression", "has_literal", "is_elementwise", "is_uniform", "literal", "ufunc_of"]

METHODS = {"sum": "sum", "max": "max", "reshape": "reshape", "transpose": "transpose"}
"""Functions of NumPy that are methods of its arrays, with the same arguments."""


def expression(equation: Equation, operands: Sequence[ast.expr]) -> ast.expr:
    """The right-hand side of an equation, given its operands."""
    template = _sum_to(equation) if equation.primitive.name == "sum_to" else _fill(equation)
    names = {f"_{i}": operand for i, operand in enumerate(operands)}
    arrays = [not isinstance(a, Variable) or a.dtype is not None for a in equation.inputs]
    tree = _Idioms(arrays, [len(a.shape) if isinstance(a, Variable) else np.ndim(a.value) for a in equation.inputs])
    return _Operands(names).visit(tree.visit(template))


def _fill(equation: Equation) -> ast.expr:
    source = equation.primitive.source
    names = [f"_{i}" for i in range(len(equation.inputs))]
    for i, a in enumerate(equation.inputs):  # of what a method is asked is an array, even if it is given a number
        if f"{{{i}}}." in source and isinstance(a, Variable) and a.type is not np.ndarray:
            names[i] = f"np.asarray(_{i})"
    params = {name: _parameter(value) for name, value in equation.params.items()}
    text = source.format(*names, all=", ".join(names), **params)
    return ast.parse(text.strip(), mode="eval").body


def _sum_to(equation: Equation) -> ast.expr:
    """The sum over the axes of a broadcast, which are known here."""
    given, shape = _value(equation.inputs[0]).shape, equation.params["shape"]
    extra = len(given) - len(shape)
    axis = tuple(range(extra))
    text = f"np.sum(_0, axis={axis})"
    if given[extra:] != shape:
        axis += tuple(extra + i for i, n in enumerate(shape) if n == 1 and given[extra + i] != 1)
        text = f"np.sum(_0, axis={axis}, keepdims=True)"
        text = f"np.reshape({text}, {shape})" if extra else text
    return ast.parse(text, mode="eval").body


def _value(atom: Atom) -> Any:
    return atom if isinstance(atom, Variable) else atom.value


class _Text(str):
    """A parameter already in the form in which it stands in the source."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _parameter(value: Any) -> Any:
    if isinstance(value, np.dtype) or (isinstance(value, type) and issubclass(value, np.generic)):
        return _Text(f"np.{np.dtype(value).name}")
    return _Text(f"np.{np.dtype(value).name}") if isinstance(value, str) and value in np.sctypeDict else value


class _Operands(ast.NodeTransformer):
    """Puts the operands in place of their placeholders."""

    def __init__(self, operands: Mapping[str, ast.expr]) -> None:
        self.operands = operands

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.operands.get(node.id, node)


class _Idioms(ast.NodeTransformer):
    """Puts a call in the form in which a person would write it."""

    def __init__(self, arrays: Sequence[bool], ranks: Sequence[int]) -> None:
        self.arrays, self.ranks = arrays, ranks

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = _numpy_name(node.func)
        node.keywords = [k for k in node.keywords if not (k.arg == "keepdims" and _is_constant(k.value, False))]
        for k in node.keywords:
            if k.arg == "axis" and isinstance(k.value, ast.Tuple) and len(k.value.elts) == 1:
                k.value = k.value.elts[0]
        first = node.args[0] if node.args else None
        if name == "reshape" and isinstance(first, ast.Call):
            return ast.Call(ast.Attribute(first, "reshape", ast.Load()), node.args[1:], [])
        if name not in METHODS or not isinstance(first, ast.Name) or not self._is_array(first):
            return node
        rank = self.ranks[int(first.id[1:])]
        if name == "transpose" and ast.unparse(node.args[1]) == repr(tuple(reversed(range(rank)))):
            return ast.Attribute(first, "T", ast.Load())
        if name in ("sum", "max"):
            node.keywords = [k for k in node.keywords if k.arg != "axis" or not _is_all(k.value, rank)]
        node.func = ast.Attribute(first, METHODS[name], ast.Load())
        node.args = node.args[1:]
        return node

    def _is_array(self, node: ast.Name) -> bool:
        return node.id.startswith("_") and self.arrays[int(node.id[1:])]

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        index = node.slice
        if isinstance(index, ast.Tuple):
            parts = [_slice(e) for e in index.elts]
            while len(parts) > 1 and isinstance(parts[-1], ast.Slice) and not _bounds(parts[-1]):
                parts.pop()
            node.slice = parts[0] if len(parts) == 1 else ast.Tuple(parts, ast.Load())
        return node


def _numpy_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np":
        return node.attr
    return None


def _is_constant(node: ast.expr, value: Any) -> bool:
    return isinstance(node, ast.Constant) and node.value is value


def _is_all(axis: ast.expr, rank: int) -> bool:
    return rank > 0 and ast.unparse(axis) in (repr(tuple(range(rank))), "0" if rank == 1 else "")


def _slice(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "slice":
        bounds = [None if _is_constant(a, None) else a for a in node.args]
        return ast.Slice(*bounds)
    return node


def _bounds(node: ast.Slice) -> list[ast.expr]:
    return [b for b in (node.lower, node.upper, node.step) if b is not None]


@cache
def _shape_of_template(primitive: Primitive) -> ast.expr | None:
    try:
        return ast.parse(primitive.source.format("_0", "_1", "_2", all="_0", n=3), mode="eval").body
    except (KeyError, IndexError, SyntaxError):  # it has other parameters
        return None


def is_elementwise(primitive: Primitive) -> bool:
    """Whether the source is an operator, or a NumPy function, that works element by element."""
    tree = _shape_of_template(primitive)
    if isinstance(tree, ast.BinOp):
        return not isinstance(tree.op, ast.MatMult)
    if isinstance(tree, ast.Call):
        name = _numpy_name(tree.func)
        return name == "where" or isinstance(getattr(np, name or "", None), np.ufunc)
    return isinstance(tree, (ast.UnaryOp, ast.Compare))


def ufunc_of(primitive: Primitive) -> str | None:
    """The name of the NumPy ufunc that the source calls, None for an operator or anything else."""
    tree = _shape_of_template(primitive)
    name = _numpy_name(tree.func) if isinstance(tree, ast.Call) else None
    return name if isinstance(getattr(np, name or "", None), np.ufunc) else None


def has_literal(value: Any) -> bool:
    """Whether an object that is no array can be written down: a plain number or string, None, a tuple of them."""
    if type(value) is tuple:
        return all(has_literal(part) for part in value)
    return type(value) in (bool, int, float, str, bytes, type(None))


def literal(value: Any) -> ast.expr:
    """A number, a string, an array or a tuple of them as a Python expression with exactly this value."""
    return ast.parse(_literal(value), mode="eval").body


def _literal(value: Any) -> str:
    if isinstance(value, np.ndarray):
        dtype = f"np.{value.dtype.name}" if value.dtype.isnative else f"np.dtype({value.dtype.str!r})"
        if value.ndim and is_uniform(value):
            return f"np.full({value.shape}, {_number(value.reshape(-1)[0])}, {dtype})"
        if value.size == 0:
            return f"np.empty({value.shape}, {dtype})"
        return f"np.array({_nested_lists(value)}, {dtype})"
    if isinstance(value, np.generic):
        return f"np.{type(value).__name__}({_number(value)})"
    if type(value) is tuple:
        return f"({', '.join(map(_literal, value))}{',' * (len(value) == 1)})"
    return _number(value) if isinstance(value, float) else repr(value)


def is_uniform(value: np.ndarray) -> bool:
    """Whether an array has elements, and all of them are the same to the bit."""
    if not value.size:
        return False
    raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8).reshape(value.size, -1)
    return bool((raw == raw[0]).all())


def _nested_lists(value: np.ndarray) -> str:
    if value.ndim == 0:
        return _number(value[()])
    return f"[{', '.join(_nested_lists(np.asarray(row)) for row in value)}]"


def _number(value: Any) -> str:
    """The shortest decimal that rounds to the value."""
    if isinstance(value, (np.floating, float)):
        if np.isnan(value):
            return "np.nan"
        if np.isinf(value):
            return "np.inf" if value > 0 else "-np.inf"
        return repr(value) if isinstance(value, np.longdouble) else repr(float(value))
    return repr(value.item() if isinstance(value, np.generic) else value)
