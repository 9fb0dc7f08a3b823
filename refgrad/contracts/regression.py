"""The text of regression tests that run without refgrad: NumPy, torch, JAX or CuPy, and the function under test."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np

from refgrad.contracts.contract import Contract, Failure
from refgrad.contracts.inline import Written, definitions
from refgrad.errors import UsageError

__all__ = ["Dialect", "expected_values", "regression", "shows", "test_source"]


IMPORTS = {
    "numpy": ("import numpy as np", "np"),
    "torch": ("import torch", "torch"),
    "jax": ("import jax\nimport jax.numpy as jnp", "jnp"),
    "cupy": ("import cupy as cp", "cp"),
}


class Dialect:
    """How one framework writes a test; as a `Framework`, it makes expressions in place of arrays.

    Parameters
    ----------
    framework : str
        ``"numpy"``, ``"torch"``, ``"jax"`` or ``"cupy"``.
    dtype : str
        ``"float32"`` or ``"float64"``.
    """

    xp: Any = None  # in a test it is the framework's module

    def __init__(self, framework: str, dtype: str) -> None:
        if framework not in IMPORTS:
            raise UsageError(f"expected a framework, one of {', '.join(IMPORTS)}; got {framework!r}")
        self.framework, self.dtype = framework, dtype
        self.imports, self.module = IMPORTS[framework]
        if framework == "jax" and dtype == "float64":
            self.imports += '\n\njax.config.update("jax_enable_x64", True)'

    def constructor(self) -> str:
        """The definition of ``array``, which turns nested lists into arrays of the dtype under test."""
        return f"def array(values):\n    return {self._make('values', self.dtype)}\n\n"

    def array(self, values: Any) -> Written:
        """The expression of an array."""
        return Written(f"array({values!r})")

    def labels(self, values: Any) -> Written:
        """The expression of an int64 array."""
        return Written(self._make(repr(values), "int64"))

    def scalar(self, value: float) -> Written:
        """The expression of a number."""
        return Written(repr(value))

    def definition(self, name: str, value: Any, alone: bool) -> str:
        """The statements that define an argument of the subject.

        A vector that is an argument by itself is what gradients are taken by, and torch is told so. The derivatives by
        hand that an object carries are written for libraries that take none themselves.
        """
        by_hand = getattr(value, "BY_HAND", None)
        if by_hand is not None:
            return definitions(value, name, self.module, by_hand if self.framework in ("numpy", "cupy") else ())
        vector = alone and isinstance(value, Written) and re.fullmatch(r"array\(\[[^\[]*\]\)", value)
        return f"{name} = {expression(value)}" + (".requires_grad_()" if vector and self.framework == "torch" else "")

    def _make(self, values: str, dtype: str) -> str:
        maker = "tensor" if self.framework == "torch" else "array"
        return f"{self.module}.{maker}({values}, dtype={self.module}.{dtype})"


def expression(value: Any) -> str:
    """Nested lists and tuples of expressions and plain numbers as one expression, a list with a line for each element.

    Raises
    ------
    TypeError
        If anything else is among them, such as a piece of text that was put together from expressions.
    """
    if isinstance(value, tuple):
        return f"({', '.join(map(expression, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return "[\n" + "".join(f"    {expression(v)},\n" for v in value) + "]"
    if isinstance(value, Written):
        return str(value)
    if value is None or type(value) in (bool, int, float):
        return repr(value)
    raise TypeError(f"expected an expression or a number, got {type(value).__name__}")


FLAT = """\
def flat(values):
    values = values.tolist() if hasattr(values, "tolist") else values
    return [x for v in values for x in flat(v)] if isinstance(values, (list, tuple)) else [values]

"""


def regression(contract: Contract, failure: Failure) -> str | None:
    """The source of a test that runs without refgrad: the contract's own, or a comparison with the exact answer.

    The latter calls the subject on the arguments of the problem. None where that cannot be written: the signature is
    not ``subject(name, ...)``, an argument is computed or is no array, number or loss, or answers are not unique and
    the contract judges by an error of its own.
    """
    if contract.regression is not None:
        return contract.regression(failure)
    if contract.error is not None:
        return None
    dialect = Dialect(failure.framework, failure.dtype)
    try:
        definitions_of_arguments = _arguments(contract, failure, dialect)
    except Exception:  # the contract's own code, which was written for arrays, was run on text
        return None
    body = [dialect.constructor(), *definitions_of_arguments]
    values = ["VALUES"]
    if len(contract.shape(failure.problem.inputs)) != 1:
        values = [FLAT, f"values = flat({f'result.{failure.field}' if failure.field else 'result'})"]
    body += [
        f"result = {contract.signature}",
        *values,
        f"expected = {expected_values(failure.truth)!r}",
        "worst = max(abs(value - right) for value, right in zip(values, expected, strict=True))",
        f"assert worst <= {float(failure.tolerance)!r}, (values, expected)",
    ]
    return test_source(dialect, failure, "_".join(map(str, (contract.name, *contract.options.values()))), body)


def shows(contract: Contract, failure: Failure) -> bool:
    """Whether the test fails on the output that came and passes on the truth, both replayed on NumPy arrays."""
    source = regression(contract, replace(failure, import_line="", framework="numpy"))
    if source is None or failure.got is None:
        return False
    shape = contract.shape(failure.problem.inputs)

    def passes(values: Sequence[float], dtype: str) -> bool:
        output: Any = np.array(values, dtype).reshape(shape)
        result = SimpleNamespace(**{failure.field: output}) if failure.field else output
        scope: dict[str, Any] = {"subject": lambda *arguments: result}
        exec(compile(source, "<regression test>", "exec"), scope)
        (test,) = (value for name, value in scope.items() if name.startswith("test_"))
        try:
            test()
        except AssertionError:
            return False
        return True

    came = failure.came or failure.dtype
    came = came if came in np.sctypeDict else "float16"  # bfloat16, which NumPy has not
    return passes(expected_values(failure.truth), failure.dtype) and not passes(failure.got, came)


def _arguments(contract: Contract, failure: Failure, dialect: Dialect) -> list[str]:
    """The statements that define the names in the contract's signature; raises where one of them cannot be written."""
    call = ast.parse(contract.signature, mode="eval").body
    if not isinstance(call, ast.Call) or ast.unparse(call.func) != "subject" or call.keywords:
        raise TypeError(f"expected subject(name, ...), got {contract.signature}")
    found: list[str] = []
    for place, argument in zip(call.args, contract.arguments(failure.problem.inputs, dialect), strict=True):
        if isinstance(place, ast.Tuple):
            pairs = list(zip(place.elts, argument, strict=True))
        else:
            pairs = [(place, argument)]
        for name, value in pairs:
            if not isinstance(name, ast.Name):
                raise TypeError(f"expected a name in {contract.signature}, got {ast.unparse(name)}")
            found.append(dialect.definition(name.id, value, alone=not isinstance(place, ast.Tuple)))
    ast.parse("\n".join(found))
    return found


def expected_values(enclosure: Any) -> list[float]:
    """The floats nearest to the middle of an enclosure; that of an `Answer` or that of its value alone."""
    low, high = (getattr(side, "value", side) for side in (enclosure.low, enclosure.high))
    return [float((Fraction(a) + Fraction(b)) / 2) for a, b in zip(low.ravel(), high.ravel(), strict=True)]


def test_source(dialect: Dialect, failure: Failure, title: str, body: Iterable[str]) -> str:
    """The source of one test function.

    Parameters
    ----------
    dialect : Dialect
    failure : Failure
    title : str
        The contract's name, which becomes part of the test's.
    body : iterable of str
        Statements that define ``result``, by calling ``subject``, and then assert on ``values``, the list of its
        numbers; the line ``VALUES`` among them is where ``values`` is read off.
    """
    notes = textwrap.wrap(failure.comment, 110)
    if failure.got is not None:
        notes += textwrap.wrap(f"It returned {[float(value) for value in failure.got]}.", 110)
    lines = [f"# {note}" for note in notes]
    output = f"result.{failure.field}" if failure.field else "result"
    for statement in body:
        if statement == "VALUES":
            statement = f"values = {output}.tolist() if hasattr({output}, 'tolist') else [float(x) for x in {output}]"
        lines += statement.splitlines()
        if failure.came is not None and statement.startswith("result = "):
            lines.append(f"assert str({output}.dtype).endswith({failure.dtype!r}), {output}.dtype")
    identifier = re.sub(r"\W", "_", failure.name)
    function = f"def test_{identifier}_computes_the_{title}():\n" + textwrap.indent("\n".join(lines), "    ")
    return f"{dialect.imports}\n{failure.import_line}\n\n\n{function}\n"


test_source.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name
