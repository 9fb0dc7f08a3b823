"""Contracts, families of them, and problems: what a subject should compute, as data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Protocol

from refgrad.contracts.tools.answer import Answer, Variant
from refgrad.contracts.wide import Wide
from refgrad.errors import UsageError
from refgrad.typing import Array

__all__ = ["Contract", "Failure", "Family", "Framework", "Problem", "each_kind"]


@dataclass(frozen=True)
class Problem:
    """One input, as plain data that survives JSON.

    Attributes
    ----------
    kind : str
        ``"crisp"`` (small integers and halves: isolates errors of method), ``"rough"`` (full mantissas: measures
        rounding), ``"ill_conditioned"``, ``"degenerate"`` or ``"wide"`` (the sizes and shapes that people use; its
        truth is an enclosure).
    inputs : dict
        Nested lists of floats and ints, by the contract's argument names. Those of crisp problems are exact in float32;
        a run in float32 rounds all the others before anything is computed from them.
    """

    kind: str
    inputs: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """A string that is equal for problems with equal inputs."""
        return json.dumps(self.inputs, sort_keys=True)


def each_kind(strategy: Callable[[str], Any]) -> dict[str, Callable[[], Any]]:
    """For each kind of problem, what a contract holds of a strategy of inputs that takes the kind.

    Parameters
    ----------
    strategy : callable
        ``strategy(kind)``: a Hypothesis strategy of the inputs of one problem.
    """
    from refgrad.strategies.numbers import KINDS

    return {kind: partial(_problems, strategy, kind) for kind in KINDS}


def _problems(strategy: Callable[[str], Any], kind: str) -> Any:
    return strategy(kind).map(partial(Problem, kind))


class Framework(Protocol):
    """How the numbers of a problem become arrays: of each library, of exact arithmetic, or as the text of a test."""

    xp: Any
    """A table of functions, `refgrad.contracts.tools.Table`."""

    def array(self, values: Any) -> Array:
        """Nested lists of floats as an array of the dtype under test."""

    def labels(self, values: Any) -> Array:
        """Nested lists of ints as an int64 array."""

    def scalar(self, value: float) -> Any:
        """A number: a Python float for subjects, a rational of shape () for the quantity."""


@dataclass(frozen=True)
class Failure:
    """What a regression test is written from.

    Attributes
    ----------
    import_line : str
        Defines ``subject``, which the test calls.
    name : str
        The function's own name, for the test's title.
    framework, dtype : str
    problem : Problem
    truth : object
        With the bounds ``low`` and ``high`` of the answer, arrays of Fractions.
    tolerance : float
        Absolute, on what the contract judges by.
    got : list of float or None
        What came.
    comment : str
        What was found, for the reader of the test.
    field : str or None
        The attribute of a result object that holds the output.
    came : str or None
        The dtype that came, if it is that which is wrong.
    """

    import_line: str
    name: str
    framework: str
    dtype: str
    problem: Problem
    truth: Any
    tolerance: float
    got: Sequence[float] | None
    comment: str
    field: str | None = None
    came: str | None = None


@dataclass(frozen=True)
class Contract:
    """A named, versioned statement of what a function should compute.

    Attributes
    ----------
    name, version, summary : str
    signature : str
        How the subject is called, always positionally.
    returns : str
        What comes back, with its shape.
    references : tuple of str
        Paper and equation.
    problems : dict of str to callable
        For each kind, a function without arguments that returns a Hypothesis strategy of `Problem`.
    arguments : callable
        ``arguments(inputs, framework)``: the positional arguments in the framework's arrays.
    quantity : callable
        What should be computed: takes those arguments, as exact arrays, and returns the `Answer`. The variants are
        given the same arrays, so that neither may change them. Written as plain arithmetic and made with `measured`,
        it serves float64 arrays as well, as its attribute ``plain``.
    shape : callable
        ``shape(inputs)``: the shape of the output.
    variants : tuple of Variant
    result_field : str
        The attribute of a result object that counts as the output.
    error : callable or None
        ``error(arguments, output)``: how far an output is from right, as an exact array of shape (), for answers
        that are not unique. None: the largest absolute difference from the quantity's value.
    unit : callable or None
        With `error`: ``unit(arguments)``, the `Answer` (value, magnitude) in the unit of `error`, whose response to
        perturbed inputs is what may be attained. None: the quantity itself.
    certificate : str or None
        The name of the certificate for iterative subjects, such as ``"gap"``; None if the contract has none.
    certify : callable or None
        ``certify(arguments, output)``: the certificate of an output, as an exact array of shape (), where that is not
        its error.
    regression : callable or None
        ``regression(failure)``: the source of a test on a `Failure` that runs without refgrad. None: a test that calls
        the subject on the arguments and compares with the answer; see `refgrad.contracts.regression`.
    parameters : dict of str to str
        What each argument of the call is: type, shape, scale; for people.
    example : str
        Source of a NumPy function that conforms, to begin from.
    options : dict
        For a member of a `Family`, and for a contract with conventions: the choices that make it this one.
    wide : Wide or None
        Problems of the sizes and shapes that people use, and what a pass covers; see `refgrad.contracts.wide`.
    products : callable or None
        Without arguments: the variants that deviate in two ways, which are tried when no single one fits.
    conventions : dict of str to tuple
        What may be declared with ``--param``, the contract's own choice first, such as ``reduction`` mean or sum.
    declared : callable or None
        ``declared(**choices)``: the contract for other conventions.
    """

    name: str
    version: str
    summary: str
    signature: str
    returns: str
    references: tuple[str, ...]
    problems: Mapping[str, Callable[[], Any]]
    arguments: Callable[[Mapping[str, Any], Framework], tuple[Any, ...]]
    quantity: Callable[..., Answer]
    shape: Callable[[Mapping[str, Any]], tuple[int, ...]]
    variants: tuple[Variant, ...]
    result_field: str = "value"
    error: Callable[[tuple[Any, ...], Array], Array] | None = None
    unit: Callable[[tuple[Any, ...]], Answer] | None = None
    certificate: str | None = None
    certify: Callable[[tuple[Any, ...], Array], Array] | None = None
    regression: Callable[[Failure], str] | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    example: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    wide: Wide | None = None
    products: Callable[[], Sequence[Variant]] | None = None
    conventions: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    declared: Callable[..., Contract] | None = None

    def choose(self, params: Mapping[str, Any]) -> tuple[Contract, dict[str, Any]]:
        """The contract with the conventions that `params` declare, and the params that are left for the subject.

        Raises
        ------
        UsageError
            If a convention is declared that is none of those that there are.
        """
        given = {name: params[name] for name in self.conventions if name in params}
        chosen = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
        for name, value in chosen.items():
            if value not in self.conventions[name]:
                raise UsageError(
                    f"{self.name} has the convention {name}, one of {', '.join(map(str, self.conventions[name]))}; got "
                    f"{value!r}"
                )
        left = {k: v for k, v in params.items() if k not in chosen}
        return (self.declared(**chosen), left) if chosen and self.declared is not None else (self, left)


@dataclass(frozen=True)
class Family:
    """Contracts of one name that differ in options, which whoever verifies must state among the params.

    Attributes
    ----------
    name, version, summary, signature, returns, references : as in `Contract`
    options : dict of str to tuple
        What each option may be.
    member : callable
        ``member(**options)``: the `Contract`. Raises `UsageError` where the options do not fit together.
    members : dict of str to str
        For people: the choices, and what each is.
    parameters, example : as in `Contract`
    """

    name: str
    version: str
    summary: str
    signature: str
    returns: str
    references: tuple[str, ...]
    options: Mapping[str, tuple[Any, ...]]
    member: Callable[..., Contract]
    members: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)
    example: str = ""

    def choose(self, params: Mapping[str, Any]) -> tuple[Contract, dict[str, Any]]:
        """The contract that `params` choose, and the params that are left for the subject.

        Raises
        ------
        UsageError
            If an option is missing or is none of those that there are.
        """
        for name, allowed in self.options.items():
            value = params.get(name)
            if not any(type(value) is type(choice) and value == choice for choice in allowed):
                example = " ".join(f"--param {k}={v[0]}" for k, v in self.options.items())
                raise UsageError(
                    f"{self.name} is a contract for each {' and '.join(self.options)}: expected {name} among the "
                    f"params, one of {', '.join(map(str, allowed))}; got {'nothing' if value is None else repr(value)}"
                    f". On the command line: {example}"
                )
        left = {k: v for k, v in params.items() if k not in self.options}
        return self.member(**{k: params[k] for k in self.options}), left
