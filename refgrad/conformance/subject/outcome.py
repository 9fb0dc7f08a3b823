"""One call of a subject, and what came of it.

`evaluate` runs in the process that holds the subject, whether that is a child process or this one; its reply is
plain data that goes through JSON. `Outcome.of` reads the reply on the judge's side, and believes none of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.conformance.subject.arguments import Arguments, names
from refgrad.conformance.subject.frameworks import NotAnArray, advice, to_numpy
from refgrad.conformance.subject.generators import seeded
from refgrad.conformance.subject.places import said

__all__ = ["FATAL", "KINDS", "Outcome", "evaluate"]

KINDS = (
    "value", "raised", "timeout", "crashed", "bad_reply", "not_finite", "wrong_shape", "wrong_dtype", "not_an_array",
    "graph_cut", "nondeterministic",
)  # fmt: skip

FATAL = ("timeout", "crashed", "bad_reply")
"""Those after which the subject has to be started again."""

_LONGEST = 2000
_CUT = "the graph is cut (copy, .data, detach)"


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    Attributes
    ----------
    kind : str
        ``"value"``, or what kept it from being one: another of `KINDS`.
    message : str
        What happened, in a sentence; for a value empty, or what is odd about it.
    value : array or None
        As float64, which holds every float32 exactly.
    dtype : str
        The dtype that came back.
    field : bool
        Whether the output was the attribute of a result object.
    callables, used : tuple of str
        The arguments that can be called, and those of them that were.
    mutated : tuple of str
        The arguments that the call changed.
    """

    kind: str
    message: str = ""
    value: np.ndarray | None = None
    dtype: str = ""
    field: bool = False
    callables: tuple[str, ...] = ()
    used: tuple[str, ...] = ()
    mutated: tuple[str, ...] = ()

    @classmethod
    def of(cls, reply: Mapping[str, Any], dtype: str, shape: Sequence[int]) -> Outcome:
        """The outcome that a worker's reply states; one of kind ``"bad_reply"`` if it cannot be one.

        Parameters
        ----------
        reply : dict
            Whatever came.
        dtype : str
            That of the contract's arrays.
        shape : sequence of int
            That of the output, as the contract says.
        """
        try:
            return cls._read(reply, dtype, tuple(shape))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            return cls("bad_reply", f"its process sent an answer that is none ({type(error).__name__})")

    @classmethod
    def _read(cls, reply: Mapping[str, Any], dtype: str, shape: tuple[int, ...]) -> Outcome:
        kind, message, came = (_text(reply.get(key, "")) for key in ("kind", "message", "dtype"))
        if kind not in KINDS:
            raise ValueError(kind)
        notes = {key: tuple(map(_text, reply.get(key, ()))) for key in ("callables", "used", "mutated")}
        if kind != "value":
            return cls(kind, message, dtype=came, **notes)  # type: ignore[arg-type]
        if tuple(reply["shape"]) != shape or len(reply["hex"]) != math.prod(shape):
            raise ValueError("shape")
        value = np.array([float.fromhex(h) for h in reply["hex"]], float).reshape(shape)
        field = bool(reply.get("field"))
        width = re.fullmatch(r"float(\d+)", came)
        if came != "python" and (width is None or int(width[1]) < int(dtype[5:])):
            return cls("wrong_dtype", f"expected {dtype}, got an array of {came}", value, came, field, **notes)
        if not np.isfinite(value).all():
            number = "NaN" if np.isnan(value).any() else "infinity"
            message = f"expected finite numbers, got {number}: {value.tolist()}"[:_LONGEST]
            return cls("not_finite", message, value, came, field, **notes)
        return cls("value", message, value, came, field, **notes)

    def same_bits(self, other: Outcome) -> bool:
        """Whether both calls gave the same kind and, if values, the same numbers."""
        if self.kind != other.kind or self.value is None or other.value is None:
            return self.kind == other.kind
        return np.array_equal(self.value, other.value, equal_nan=True)


def evaluate(
    function: Callable[..., Any], given: tuple[Any, ...], message: Mapping[str, Any], field: str
) -> dict[str, Any]:
    """The reply to one call: its numbers as hexadecimal floats with dtype and shape, or what went wrong.

    Parameters
    ----------
    function : callable
        The subject.
    given : tuple
        Positional arguments.
    message : dict
        ``params``, keyword arguments; ``shape``, what the contract says: an output of another shape is reported
        without its numbers; ``signature``, the contract's, for the names of the arguments; ``seed``, for the
        generators of random numbers that the whole process shares.
    field : str
        The attribute of a result object that counts as the output.
    """
    arguments = Arguments(given, names(message["signature"], len(given)))
    # problems lie at the ends of the range on purpose: a number that leaves it on the way is judged by what comes back
    with seeded(message["seed"]), np.errstate(all="ignore"):
        reply = _reply(function, arguments, message["params"], tuple(message["shape"]), field)
    return reply | {"callables": arguments.callables, "used": arguments.used(), "mutated": arguments.mutated()}


def _reply(
    function: Callable[..., Any], arguments: Arguments, params: Mapping[str, Any], shape: tuple[int, ...], field: str
) -> dict[str, Any]:
    try:
        output = function(*arguments.positional, **params)
        if output is None:
            return _nothing(arguments)
        array, dtype = to_numpy(output, field)
        if array.shape != shape:
            came = f"expected shape {shape}, got {array.shape}{advice(output, shape, field)}"
            return {"kind": "wrong_shape", "message": came, "dtype": dtype}
        boxed = hasattr(output, field)
    except NotAnArray as error:
        return {"kind": "not_an_array", "message": f"{error}{advice(output, shape, field)}"}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a subject that leaves has raised
        return _raised(error, arguments)
    if array.dtype.kind not in "fiu":
        return {"kind": "wrong_dtype", "message": f"expected real floats, got an array of {dtype}", "dtype": dtype}
    numbers = [float(x).hex() for x in array.ravel().astype(np.float64)]
    odd = "a torch Parameter came back: parameters, not their gradient" if type(output).__name__ == "Parameter" else ""
    return {"kind": "value", "message": odd, "dtype": dtype, "shape": shape, "hex": numbers, "field": boxed}


def _nothing(arguments: Arguments) -> dict[str, Any]:
    leaves = arguments.leaves()
    full = [name for name, leaf in leaves.items() if leaf.grad is not None]
    if full:
        message = f"expected an array, got NoneType, though {full[0]}.grad is there: return it"
    elif leaves:
        whose = " or ".join(leaves)
        message = f"no gradient reaches {whose}: {_CUT}; or the function does not return what it computes (NoneType)"
        return {"kind": "graph_cut", "message": message}
    else:
        message = "expected an array, got NoneType: return what is computed"
    return {"kind": "not_an_array", "message": message}


def _raised(error: BaseException, arguments: Arguments) -> dict[str, Any]:
    message = said(error, _LONGEST)
    leaves = arguments.leaves()
    torch_says = re.search("does not require grad|to not have been used in the graph", message)
    if leaves and isinstance(error, RuntimeError) and torch_says:
        return {"kind": "graph_cut", "message": f"no gradient reaches {' or '.join(leaves)}: {_CUT}; {message}"}
    return {"kind": "raised", "message": message}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value[:_LONGEST]
