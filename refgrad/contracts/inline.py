"""The text of an object that a contract passes in: its methods as functions, its attributes as variables.

A regression test runs without refgrad, so it must define the loss that the subject was given. The text is that of the
object's own class, read with `inspect`: ``self.A`` becomes ``A``, ``self.xp`` the framework's module, and whatever a
method calls comes before it. Docstrings and annotations are left out.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

__all__ = ["Written", "definitions"]

ONEHOT = "def onehot(labels, classes, like):\n    return {xp}.eye(classes, dtype=like.dtype)[labels]"


class Written(str):
    """The expression of an array or of a number in a test."""

    __slots__ = ()


def definitions(value: Any, name: str, module: str, methods: Iterable[str]) -> str:
    """Statements that define `name` as the function that `value` is.

    Parameters
    ----------
    value : callable object
        With a table of functions as its attribute ``xp``, and constants that are ints, functions or `Written`.
    name : str
    module : str
        What the framework's module is called in the test.
    methods : iterable of str
        Names of methods that become attributes of the function.
    """
    text = _Text(value, name, module)
    text.method("__call__")
    for method in methods:
        text.method(method)
    attached = [text.names[m] for m in methods]
    last = f"{', '.join(f'{name}.{m}' for m in methods)} = {', '.join(attached)}" if attached else ""
    return "\n\n".join(part for part in (*text.parts.values(), last) if part) + "\n\n"


class _Text(ast.NodeTransformer):
    """The functions written so far, each after those that it calls."""

    def __init__(self, value: Any, name: str, module: str) -> None:
        self.value, self.name, self.module = value, name, module
        self.parts: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self._scope: dict[str, Any] = {}
        methods = (getattr(type(value), method) for method in dir(type(value)))
        self._variables = {v for m in methods if isinstance(m, FunctionType) for v in m.__code__.co_varnames}

    def method(self, name: str) -> str:
        """Write a method as a function; what the function is called."""
        if name not in self.names:
            called = self.name if name == "__call__" else name.lstrip("_")
            called += "_" * (called in self._variables)  # which would hide it where it is called
            self.names[name] = called
            self._write(getattr(type(self.value), name), called)
        return self.names[name]

    def _write(self, function: Callable[..., Any], called: str) -> None:
        assert isinstance(function, FunctionType)
        outer, self._scope = self._scope, function.__globals__
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
        assert isinstance(tree, ast.FunctionDef)
        tree.name, tree.returns, tree.decorator_list = called, None, []
        tree.args.args = [ast.arg(a.arg) for a in tree.args.args if a.arg != "self"]
        if ast.get_docstring(tree) is not None:
            del tree.body[0]
        tree.body = [self.visit(node) for node in tree.body]
        self._scope = outer
        self.parts[called] = ast.unparse(ast.fix_missing_locations(tree))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        assert node.value is not None
        return self.visit(ast.Assign([node.target], node.value))  # type: ignore[no-any-return]

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        table = ast.unparse(node.value) == "self.xp"
        if table and node.attr == "onehot":
            self.parts.setdefault("onehot", ONEHOT.replace("{xp}", self.module))
            return ast.Name("onehot")
        if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
            return self.generic_visit(node)
        if node.attr == "xp":
            return ast.Name(self.module)
        if isinstance(getattr(type(self.value), node.attr, None), FunctionType):
            return ast.Name(self.method(node.attr))
        constant = getattr(self.value, node.attr)
        if isinstance(constant, int):
            return ast.Constant(constant)
        if isinstance(constant, FunctionType):
            if node.attr not in self.parts:
                self._write(constant, node.attr)
        elif node.attr not in self.parts:
            self.parts[node.attr] = f"{node.attr} = {constant}"
        return ast.Name(node.attr)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id == "self":
            return ast.Name(self.method("__call__"))
        function = self._scope.get(node.id)
        if isinstance(function, FunctionType) and node.id not in self.parts:
            self._write(function, node.id)
        return node
