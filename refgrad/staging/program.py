"""A recorded function: its inputs, its equations in order, and its results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refgrad.autodiff.arguments import explain, name_of
from refgrad.autodiff.core import Tracer
from refgrad.autodiff.hidden_state import examine
from refgrad.autodiff.record import Constant, Equation, RecordTrace, RecordTracer, Variable
from refgrad.autodiff.transform import Transform
from refgrad.errors import NoDerivative
from refgrad.staging.provenance import Provenance, identifier
from refgrad.staging.surroundings import Outside, surroundings, unchanged
from refgrad.tree import Structure, flatten
from refgrad.typing import Tree

__all__ = [
    "MAX_OPERATIONS", "OTHERWISE", "Input", "Program", "Static", "is_hashable", "is_input", "name_of_program", "record",
]  # fmt: skip

OTHERWISE = "otherwise"
"""What the function of a program calls with its arguments if they are not those it was made for."""


MAX_OPERATIONS = 10_000
"""A longer program is refused unless asked for: about a second to compile, and a loop that should be a batch."""


@dataclass(frozen=True)
class Input:
    """One array or number of the arguments."""

    variable: Variable
    name: str


@dataclass(frozen=True)
class Static:
    """A leaf of the arguments that belongs to the program and not to its data: an int, a string, a function."""

    value: Any


@dataclass(frozen=True)
class Program:
    """What a function computes, for arguments of one structure.

    Attributes
    ----------
    name : str
    positional, keyword : tuples of str
        The names of the arguments; keywords in sorted order, which is that of their leaves.
    arguments : Structure
        Of ``(args, kwargs)``.
    leaves : tuple of Input or Static
        Of the arguments, in the order of `refgrad.tree.flatten`.
    equations : list of Equation
    results : tuple of Variable, Constant or Static
    structure : Structure
        Of the results.
    names : dict
        What variables and captured arrays are called.
    outside : tuple of Outside
        What the function reads from around it.
    """

    name: str
    positional: tuple[str, ...]
    keyword: tuple[str, ...]
    arguments: Structure
    leaves: tuple[Input | Static, ...]
    equations: list[Equation]
    results: tuple[Variable | Constant | Static, ...]
    structure: Structure
    names: Provenance = field(repr=False)
    outside: tuple[Outside, ...] = field(default=(), repr=False)

    @property
    def inputs(self) -> list[Input]:
        """The leaves that are data."""
        return [leaf for leaf in self.leaves if isinstance(leaf, Input)]

    def with_equations(
        self, equations: list[Equation], results: Sequence[Variable | Constant | Static] | None = None
    ) -> Program:
        """The program with other equations, and results if they have changed."""
        return replace(self, equations=equations, results=self.results if results is None else tuple(results))


def is_input(value: Any) -> bool:
    """Whether a leaf of the arguments is data: an array, a NumPy number or a Python float."""
    if type(value) is np.ndarray or isinstance(value, np.generic):
        return value.dtype.kind in "fiub" and value.dtype.isnative
    return type(value) is float


def record(
    f: Callable[..., Tree],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    longest: int | None = MAX_OPERATIONS,
    reassociate: bool = False,
) -> Program:
    """The program of f for arguments like these, of at most `longest` equations, before any rewriting."""
    values, arguments = flatten((args, kwargs))
    positional = _positional(f, args)
    names = Provenance()
    trace = RecordTrace("stage", f, names, longest, reassociate)
    leaves: list[Input | Static] = []
    traced: list[Any] = []
    for value, name in zip(values, _leaf_names(arguments, positional), strict=True):
        if is_input(value):
            variable = Variable(value)
            leaves.append(Input(variable, name))
            traced.append(RecordTracer(trace, value, variable))
        else:
            leaves.append(Static(value))
            traced.append(value)
    held_args, held_kwargs = arguments.unflatten(traced)
    outside = surroundings(f)
    try:
        out = examine(lambda: f(*held_args, **held_kwargs), f, args, kwargs, "stage")
    except (AttributeError, TypeError, ValueError) as error:
        explain(error, "stage", f, args)
        raise
    finally:
        trace.alive = False
    found, structure = flatten(out)
    _check_certificates(structure, f)
    results = [_result(trace, f, x) for x in found]
    for leaf in leaves:
        if isinstance(leaf, Input):
            names.named.setdefault(leaf.variable, leaf.name)
    program_name = name_of_program(f)
    return Program(
        program_name,
        positional,
        arguments.children[1].keys,
        arguments,
        tuple(leaves),
        trace.equations,
        tuple(results),
        structure,
        names,
        unchanged(outside),
    )


def _check_certificates(structure: Structure, f: Callable[..., Any]) -> None:
    """Refuse a result of refgrad's own with its certificate: residuals and gaps are those of the recorded arguments."""
    if structure.kind == "dataclass" and structure._type().__module__.startswith("refgrad."):
        name = structure._type().__name__
        raise NoDerivative(
            f"stage({name_of(f)}): the function returns a {name}, whose certificate would be that of the arguments it "
            "was recorded with. Return its arrays: lambda *args: f(*args).value"
        )
    for child in structure.children:
        _check_certificates(child, f)


def _result(trace: RecordTrace, f: Callable[..., Any], x: Any) -> Variable | Constant | Static:
    if isinstance(x, RecordTracer) and x.owner is trace:
        return x.variable
    if isinstance(x, Tracer):
        raise trace.capture_error(x) if x.owner.alive else x.owner.escape_error()
    if is_input(x):
        return Constant(x)
    if isinstance(x, (np.ndarray, np.generic)) or hasattr(x, "__array_namespace__"):
        raise NoDerivative(f"stage({name_of(f)}): expected results of real numbers, got dtype {x.dtype!r}")
    if not is_hashable(x) or isinstance(x, Iterator):
        raise NoDerivative(
            f"stage({name_of(f)}): expected results that are arrays, numbers and strings in containers, got a "
            f"{type(x).__name__}, which would be one object for all calls. Return a tuple, a list or a dict"
        )
    return Static(x)


def is_hashable(x: Any) -> bool:
    """Whether an object can be a key, as what does not change can."""
    try:
        hash(x)
    except TypeError:
        return False
    return True


def name_of_program(f: Callable[..., Any]) -> str:
    """``gradient_of_loss`` for ``grad(loss)``, else the name of the function."""
    inner = None if hasattr(f, "ours") else getattr(f, "__wrapped__", None)  # a function of the namespace is itself
    code = getattr(f.func if isinstance(f, Transform) else f, "__code__", None)
    name = getattr(f, "__name__", "program")
    if inner is not None and code is not None:
        name = f"{code.co_name.strip('_')}_of_{name_of_program(inner)}"
    return "program" if "<lambda>" in name and inner is None else identifier(name.replace("<lambda>", "function"))


def _positional(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[str, ...]:
    """The names of the positional arguments, as f declares them."""
    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    names: list[str] = []
    for i in range(len(args)):
        plain = i < len(parameters) and parameters[i].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        )
        names.append(identifier(parameters[i].name) if plain else f"x{i}")
    return tuple(names)


def _leaf_names(arguments: Structure, positional: tuple[str, ...]) -> list[str]:
    """A name for every leaf: that of its argument, of its key or field, or of the container with its place."""
    args, kwargs = arguments.children
    names: list[str] = []
    for name, child in zip(positional, args.children, strict=True):
        _spell(child, name, names)
    for key, child in zip(kwargs.keys, kwargs.children, strict=True):
        _spell(child, str(key), names)
    return names


def _spell(structure: Structure, name: str, names: list[str]) -> None:
    if structure.kind == "leaf":
        names.append(identifier(name))
        return
    for i, child in enumerate(structure.children):
        key = structure.keys[i] if structure.keys else None
        plain = isinstance(key, str) and key.isidentifier()
        _spell(child, str(key) if plain else f"{name}_{i if key is None else key}", names)
