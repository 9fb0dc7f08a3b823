"""The text of regression tests that run without refgrad: NumPy, torch, JAX or CuPy, and the function under test."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from refgrad.contracts.contract import Failure
from refgrad.errors import UsageError

__all__ = ["Dialect", "expected_values", "test_source"]


IMPORTS = {
    "numpy": ("import numpy as np", "np"),
    "torch": ("import torch", "torch"),
    "jax": ("import jax\nimport jax.numpy as jnp", "jnp"),
    "cupy": ("import cupy as cp", "cp"),
}


class Dialect:
    """How one framework writes imports, arrays and labels in a test.

    Parameters
    ----------
    framework : str
        ``"numpy"``, ``"torch"``, ``"jax"`` or ``"cupy"``.
    dtype : str
        ``"float32"`` or ``"float64"``.
    """

    def __init__(self, framework: str, dtype: str) -> None:
        if framework not in IMPORTS:
            raise UsageError(f"expected a framework, one of {', '.join(IMPORTS)}; got {framework!r}")
        self.framework, self.dtype = framework, dtype
        self.imports, self.module = IMPORTS[framework]
        if framework == "jax" and dtype == "float64":
            self.imports += '\n\njax.config.update("jax_enable_x64", True)'

        self.unit = 2.0**-24 if dtype == "float32" else 2.0**-53

    def constructor(self) -> str:
        """The definition of ``array``, which turns nested lists into arrays of the dtype under test."""
        return f"def array(values):\n    return {self._make('values', self.dtype)}\n\n"

    def parameters(self, values: Any) -> str:
        """The expression of the array that gradients are taken by; torch is told so."""
        return f"array({values!r})" + (".requires_grad_()" if self.framework == "torch" else "")

    def labels(self, values: Any) -> str:
        """The expression of an int64 array."""
        return self._make(repr(values), "int64")

    def _make(self, values: str, dtype: str) -> str:
        maker = "tensor" if self.framework == "torch" else "array"
        return f"{self.module}.{maker}({values}, dtype={self.module}.{dtype})"


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
    for statement in body:
        if statement == "VALUES":
            output = f"result.{failure.field}" if failure.field else "result"
            statement = f"values = {output}.tolist() if hasattr({output}, 'tolist') else [float(x) for x in {output}]"
        lines += statement.splitlines()
    identifier = re.sub(r"\W", "_", failure.name)
    function = f"def test_{identifier}_computes_the_{title}():\n" + textwrap.indent("\n".join(lines), "    ")
    return f"{dialect.imports}\n{failure.import_line}\n\n\n{function}\n"


test_source.__test__ = False  # type: ignore[attr-defined]  # pytest would collect it by its name
