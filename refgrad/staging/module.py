"""A program as a Python module of its own, and as a function of this process."""

from __future__ import annotations

import ast
import inspect
import itertools
import linecache
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np

from refgrad.backend import numpy_text
from refgrad.staging.emit import Text, emit
from refgrad.staging.program import OTHERWISE, Program
from refgrad.typing import Tree

__all__ = ["load", "module", "with_otherwise"]

_numbers = itertools.count(1)


def module(program: Program) -> tuple[str, Text]:
    """The text of a module whose last function is the program, and that function alone."""
    text = emit(program, exported=True)
    head = "import numpy as np\n" + ("from scipy import special\n" if _needs_special(text) else "")
    parts = [head]
    definitions = text.constants.definitions(text.constants.arguments)
    if definitions:
        parts.append("\n".join(definitions) + "\n")
    parts.extend(_text_of(name) for name in text.helpers)
    if f"{OTHERWISE}(" in text.function:
        message = f"{text.name} was made for other types, dtypes or shapes; see its docstring"
        parts.append(f'def {OTHERWISE}(*args):\n    raise TypeError("{message}")\n')
    parts.append(text.function)
    return "\n\n".join(parts), text


def load(program: Program, otherwise: Callable[..., Tree]) -> FunctionType:
    """The program as a function, which calls `otherwise` with arguments that it was not made for."""
    text = emit(program, exported=False)
    namespace: dict[str, Any] = {"np": np, OTHERWISE: otherwise, **text.constants.values, **text.statics}
    namespace.update({name: getattr(numpy_text, name) for name in text.helpers})
    if _needs_special(text):
        from scipy import special

        namespace["special"] = special
    filename = f"<staged {text.name} {next(_numbers)}>"
    # tracebacks show the line
    linecache.cache[filename] = (len(text.function), None, text.function.splitlines(keepends=True), filename)
    exec(compile(text.function, filename, "exec"), namespace)
    return namespace[text.name]  # type: ignore[no-any-return]


def with_otherwise(run: FunctionType, otherwise: Callable[..., Tree]) -> FunctionType:
    """The same function with another way out."""
    return FunctionType(run.__code__, {**run.__globals__, OTHERWISE: otherwise}, run.__name__, run.__defaults__)


def _needs_special(text: Text) -> bool:
    return "special." in text.function


def _text_of(name: str) -> str:
    """The definition of a plain function, without its docstring."""
    lines = inspect.getsource(getattr(numpy_text, name)).rstrip("\n").split("\n")
    definition = ast.parse("\n".join(lines)).body[0]
    assert isinstance(definition, ast.FunctionDef)
    document = definition.body[0]
    return "\n".join(lines[: document.lineno - 1] + lines[document.end_lineno :]) + "\n"
