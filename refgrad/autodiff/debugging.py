"""What goes wrong silently, said where it happens: the first NaN, wrong rules, hidden state, escaped values.

Inside ``with refgrad.debug():`` every run of a transformation has a `Watch`, which sees each operation and each rule on
the way back. Outside there is none, and the engine does nothing for it but compare with None.

A place is the first line on the stack that is not refgrad's own. What a rule computes belongs to the operation whose
rule it is: on the way back there is no line of the user's, and the one that made the operation is meant.
"""

from __future__ import annotations

import itertools
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from refgrad import backend
from refgrad.autodiff.batch import BatchTracer
from refgrad.autodiff.core import Primitive, Trace, Tracer, primal, watching
from refgrad.autodiff.forward import ForwardTracer
from refgrad.autodiff.reverse import ReverseTrace
from refgrad.backend import shape_of
from refgrad.errors import NotFinite

__all__ = ["Watch", "debug"]


@contextmanager
def debug(*, nonfinite: bool = True, adjoint: bool = False) -> Iterator[None]:
    """A ``with`` block in which silent errors are looked for, in every transformation that begins in it.

    It raises

    * `ChangedValue`, as ever, if a large array that the engine keeps for a derivative was changed in place, ``x += 1``,
      before the derivative was taken, but naming the line where it was used;
    * `NotFinite` at the first operation that makes infinity or NaN from finite numbers, or whose derivative does, with
      its arguments' shapes and its place in the code;
    * `EscapedTracer`, as ever, but naming the line where the value was computed;
    * `HiddenState` if a function under `vmap`, `per_example_grad`, `checkpoint` or `stage` has other results when it is
      run a second time, as with a counter or a cache: here each is run twice.

    Parameters
    ----------
    nonfinite : bool
        False lets infinity and NaN pass, as where ``refgrad.numpy.where`` drops them.
    adjoint : bool
        Whether the tangent rule and the cotangent rule of every operation are compared, on rational numbers or on
        certified enclosures of its arguments. That is slow. An operation that runs on neither is passed over.

    Raises
    ------
    WrongDerivative
        Inside the block, if `adjoint` finds rules that disagree.

    Notes
    -----
    Blocks nest, and the innermost decides. The block holds for the thread, or the task, that entered it. An operation
    on arrays none of which is traced is not seen.

    Examples
    --------
    >>> import numpy as np
    >>> import refgrad
    >>> try:
    ...     with refgrad.debug(), np.errstate(divide="ignore"):
    ...         refgrad.grad(lambda x: np.sum(np.sqrt(x)))(np.array([1.0, 0.0]))
    ... except refgrad.errors.NotFinite as error:
    ...     print(str(error).partition(", at")[0])
    on the way back, the derivative of sqrt, of an argument of shape (2,)
    """
    token = watching.set(lambda: Watch(nonfinite, adjoint))
    try:
        yield
    finally:
        watching.reset(token)


@dataclass(frozen=True)
class Origin:
    """Which operation of the user's made a value."""

    operation: str
    shapes: tuple[Any, ...]
    place: str

    def __str__(self) -> str:
        listed = " and ".join(str(s) for s in self.shapes)
        noun = "an argument of shape" if len(self.shapes) == 1 else "arguments of shapes"
        return f"{self.operation}, of {noun} {listed}, at {self.place}"


_current: ContextVar[Origin | None] = ContextVar("refgrad.debug.current", default=None)


class Watch:
    """What looks at the operations and rules of one run of a transformation."""

    __slots__ = ("adjoint", "began", "nonfinite")

    def __init__(self, nonfinite: bool, adjoint: bool) -> None:
        self.nonfinite, self.adjoint = nonfinite, adjoint
        self.began = place()

    def call(self, trace: Trace, primitive: Primitive, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """An operation on traced arguments: what `trace` makes of it, looked at."""
        outer = _current.get()
        origin = outer or Origin(primitive.name, tuple(shape_of(a) for a in args), place())
        with _inside(origin):
            y = trace.process(primitive, args, params)
        if isinstance(y, Tracer) and y.owner is trace:
            y.origin = origin
        _locate(trace, origin)
        if outer is None:
            self._require_finite(y, args, origin)
            if self.adjoint and primitive.vjp is not None:
                _compare_rules(primitive, args, params, origin)
        return y

    def record(self, node: Any) -> None:
        """A call of a function with rules of its own."""
        shapes = tuple(shape_of(primal(x)) for x in node.values)
        node.origin = Origin(node.primitive.name, shapes, place())
        _locate(node.owner, node.origin)

    def pull(self, node: Any) -> Callable[..., Any]:
        """The cotangent rule of `node`, looked at."""
        return self._watch_rule(node, node.primitive.vjp, "on the way back, the derivative of ")

    def push(self, node: Any) -> Callable[..., Any]:
        """The tangent rule of `node`, looked at."""
        return self._watch_rule(node, node.primitive.jvp, "the tangent of ")

    def _watch_rule(self, node: Any, rule: Callable[..., Any], what: str) -> Callable[..., Any]:
        origin = getattr(node, "origin", None)
        if origin is None:  # a part of the result of a call
            return rule

        def watched(*args: Any, **params: Any) -> Any:
            # the operations in the rules of a call are lines of the user's, and say so themselves
            with _inside(origin) if isinstance(node.primitive, Primitive) else nullcontext():
                term = rule(*args, **params)
            inner = "" if node.primitive.name == origin.operation else f"{node.primitive.name} in the derivative of "
            self._require_finite(term, args, origin, what + inner)
            return term

        return watched

    def where(self, tracer: Tracer | None) -> str:
        """Where an escaped value was made, as a sentence."""
        origin = getattr(tracer, "origin", None)
        if origin is not None:
            return f" It is the result of {origin}."
        return f" It belongs to the call at {self.began}."

    def _require_finite(self, y: Any, given: Any, origin: Origin, what: str = "") -> None:
        if not self.nonfinite or _finite(y) or not all(_finite(x) for x in given):
            return
        if not what and _finite(primal(y)):
            what = "the tangent of "
        nan = any(bool(backend.of(v).isnan(v).any()) for v in _plain(y) if hasattr(v, "dtype"))
        came = "NaN" if nan else "infinity"
        raise NotFinite(
            f"{what}{origin}: {came} came out where finite numbers went in. Keep the argument away from where that "
            "happens, with refgrad.numpy.where(ok, x, 1) before the operation and not after it; if it does no harm, "
            "refgrad.debug(nonfinite=False) lets it pass."
        )


@contextmanager
def _inside(origin: Origin) -> Iterator[None]:
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)


_HOME = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def place() -> str:
    """File and line of the innermost frame that is not in refgrad."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HOME):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _locate(trace: Trace, origin: Origin) -> None:
    """Say in the uses of large arrays by one operation where it is."""
    uses = trace.uses if isinstance(trace, ReverseTrace) else []
    for use in itertools.takewhile(lambda use: use.place is None, reversed(uses)):
        use.place = origin.place


def _plain(x: Any) -> Iterator[Any]:
    """The plain values under a value, tangents among them."""
    while isinstance(x, Tracer):
        if isinstance(x, ForwardTracer):
            yield from _plain(x.tangent)
        x = x.value
    if isinstance(x, (tuple, list)):  # arguments, or the results of a function with rules of its own
        for part in x:
            yield from _plain(part)
    elif hasattr(x, "dtype") or isinstance(x, (int, float)):
        yield x


def _finite(x: Any) -> bool:
    return all(_is_finite(v) for v in _plain(x))


def _is_finite(x: Any) -> bool:
    if isinstance(x, (int, float)):
        return math.isfinite(x)
    table = backend.of(x)
    return table.exact or not table.is_real(x) or bool(table.isfinite(x).all())


def _compare_rules(primitive: Primitive, args: Sequence[Any], params: dict[str, Any], origin: Origin) -> None:
    from refgrad.autodiff.check import compare_modes  # on demand: it brings exact arithmetic

    compare_modes(lambda *xs: primitive(*xs, **params), [_sample(a) for a in args], f"the rules of {origin}")


def _sample(x: Any) -> Any:
    """The plain value of an argument; inside `vmap`, that of the first example."""
    if not isinstance(x, Tracer):
        return x
    return _sample(x.value)[0] if isinstance(x, BatchTracer) else _sample(x.value)
