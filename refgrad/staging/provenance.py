"""Where a value of a program comes from, and so what it is called.

* A local variable of the recorded function gives its name to the value that it holds: ``h = np.tanh(a)`` is ``h``.
* The tangent of a value ``h`` is ``h_dot``, its cotangent ``h_bar``, the tangent of its cotangent ``h_bar_dot``.
* A captured array is called as the recorded function calls it.

The names are read off the frames of the running functions while the equations come in, so nothing of this costs
anything when no program is recorded. The sweeps of the engine, the methods of `ForwardTrace`, `push` and `pull`, say
in which of their local variables the value lies whose tangent or cotangent they compute.
"""

from __future__ import annotations

import keyword
import os
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from refgrad.autodiff import forward, reverse
from refgrad.autodiff.core import Tracer
from refgrad.autodiff.forward import ForwardTrace, ForwardTracer
from refgrad.autodiff.linearize import push
from refgrad.autodiff.record import Constant, RecordTrace, RecordTracer, Variable

__all__ = ["Provenance", "identifier"]

_PACKAGE = Path(__file__).parents[1]
LIBRARY = tuple(
    f"{folder}{os.sep}"
    for folder in (*(_PACKAGE / name for name in ("autodiff", "numpy", "backend", "tree")), Path(np.__file__).parent)
)
"""Folders of the code whose local variables are of no interest."""

SWEEPS = {
    **dict.fromkeys(
        (f.__code__ for f in (ForwardTrace.process, ForwardTrace.unary, ForwardTrace.binary, push)),
        (forward.PRIMAL_LOCAL, "dot"),
    ),
    reverse.pull.__code__: (reverse.NODE_LOCAL, "bar"),
}
"""The sweeps' code, the local variable with the value, and what its derivative is called after it."""


class Provenance:
    """The names found so far; an instance is the observer of a `RecordTrace`."""

    def __init__(self) -> None:
        self.named: dict[Variable, str] = {}
        self.captured: dict[int, str] = {}
        self.derived: dict[Variable, tuple[Variable, str]] = {}
        self._latest: dict[tuple[Variable, str], Variable] = {}
        self._seen: list[Any] = []  # keeps the objects alive whose ids are keys

    def __call__(self, trace: RecordTrace, output: Variable) -> None:
        frame: FrameType | None = sys._getframe(2)
        derived = False
        while frame is not None:
            if not derived and frame.f_code in SWEEPS:
                derived = self._derivative(frame, trace, output)
            elif not _is_library(frame):
                self._locals(frame, trace)
                return
            frame = frame.f_back

    def _derivative(self, frame: FrameType, trace: RecordTrace, output: Variable) -> bool:
        """Note that `output` is, so far, the tangent or the cotangent of another value."""
        local, suffix = SWEEPS[frame.f_code]
        of = _variable(trace, frame.f_locals.get(local))
        if of is None:  # the sweep still computes the value itself
            return False
        before = self._latest.get((of, suffix))
        if before is not None:  # a rule with several steps: the last one is the derivative
            self.derived.pop(before, None)
        self._latest[of, suffix] = output
        self.derived[output] = (of, suffix)
        return True

    def _locals(self, frame: FrameType, trace: RecordTrace) -> None:
        for name, value in frame.f_locals.items():
            if isinstance(value, Tracer):
                for variable, suffix in _inside(trace, value):
                    self.named.setdefault(variable, f"{name}{suffix}")
            elif isinstance(value, np.ndarray) and id(value) not in self.captured:
                self._capture(name, value)
        for name in frame.f_code.co_names:  # the globals that the function mentions
            value = frame.f_globals.get(name)
            if isinstance(value, np.ndarray) and id(value) not in self.captured:
                self._capture(name, value)

    def _capture(self, name: str, value: np.ndarray) -> None:
        self.captured[id(value)] = name
        self._seen.append(value)

    def name(self, value: Variable | Constant, depth: int = 0) -> str | None:
        """What `value` is called, if it has been given a name."""
        if isinstance(value, Constant):
            origin, transposed = value.origin, ""
            if id(origin) not in self.captured and origin is not None and origin.base is not None:
                origin = origin.base
                transposed = "" if origin.shape == value.value.shape else "_part"
                if origin.T.shape == value.value.shape:
                    transposed = ""
            name = self.captured.get(id(origin))
            return identifier(name + transposed) if name else None
        if value in self.named:
            return identifier(self.named[value])
        if value in self.derived and depth < 4:
            of, suffix = self.derived[value]
            name = self.name(of, depth + 1)
            return name and f"{name}_{suffix}"
        return None


def identifier(text: str) -> str:
    """`text` as a Python name."""
    text = unicodedata.normalize("NFKC", text)  # as Python does: two spellings of one name are one name
    name = "".join(c if f"_{c}".isidentifier() else "_" for c in text).lstrip("_") or "value"
    name = name if name.isidentifier() else f"x{name}"
    return f"{name}_" if keyword.iskeyword(name) or name == "np" else name


def _is_library(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(LIBRARY)


def _variable(trace: RecordTrace, x: Any) -> Variable | None:
    """The variable of the program under the levels of tracing of `x`."""
    while isinstance(x, Tracer):
        if isinstance(x, RecordTracer):
            return x.variable if x.owner is trace else None
        x = x.value
    return None


def _inside(trace: RecordTrace, x: Tracer, suffix: str = "") -> Iterator[tuple[Variable, str]]:
    """The variables of a traced value and of its tangents."""
    if isinstance(x, RecordTracer):
        if x.owner is trace:
            yield x.variable, suffix
        return
    if isinstance(x, ForwardTracer) and isinstance(x.tangent, Tracer):
        yield from _inside(trace, x.tangent, f"{suffix}_dot")
    if isinstance(x.value, Tracer):
        yield from _inside(trace, x.value, suffix)
