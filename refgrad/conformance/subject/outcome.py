"""One call of a subject, and what came of it.

`evaluate` runs in the process that holds the subject, whether that is a child process or this one; its reply is
plain data that goes through JSON. `Outcome.of` reads the reply on the judge's side.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.conformance.subject.frameworks import NotAnArray, to_numpy

__all__ = ["FATAL", "Outcome", "evaluate"]

FATAL = ("timeout", "crashed")
_LONGEST = 2000


@dataclass(frozen=True)
class Outcome:
    """What one call gave.

    Attributes
    ----------
    kind : str
        ``"value"``, or what kept it from being one: ``"raised"``, ``"timeout"``, ``"crashed"``, ``"not_finite"``,
        ``"wrong_shape"``, ``"wrong_dtype"``, ``"not_an_array"``, ``"nondeterministic"``.
    message : str
        What happened, in a sentence; empty for a value.
    value : array or None
        As float64, which holds every float32 exactly.
    dtype : str
        The dtype that came back.
    field : bool
        Whether the output was the attribute of a result object.
    mutated : tuple of str
        Arguments that the call has changed.
    """

    kind: str
    message: str = ""
    value: np.ndarray | None = None
    dtype: str = ""
    field: bool = False
    mutated: tuple[str, ...] = ()

    @classmethod
    def of(cls, reply: Mapping[str, Any], dtype: str) -> Outcome:
        """The outcome that a worker's reply states; `dtype` is the one the contract's arrays had."""
        kind = str(reply["kind"])
        if kind != "value":
            return cls(kind, str(reply.get("message", ""))[:_LONGEST], dtype=str(reply.get("dtype", "")))
        came = str(reply["dtype"])
        value = np.array([float.fromhex(h) for h in reply["hex"]], float).reshape(reply["shape"])
        if came != "python" and (not came.startswith("float") or int(came[5:]) < int(dtype[5:])):
            return cls("wrong_dtype", f"expected {dtype}, got an array of {came}", value, came)
        if not np.isfinite(value).all():
            number = "NaN" if np.isnan(value).any() else "infinity"
            return cls("not_finite", f"expected finite numbers, got {number}: {value.tolist()}", value, came)
        return cls("value", value=value, dtype=came, field=bool(reply.get("field")))

    def same_bits(self, other: Outcome) -> bool:
        """Whether both calls gave the same kind and, if values, the same numbers."""
        if self.kind != other.kind or self.value is None or other.value is None:
            return self.kind == other.kind
        return np.array_equal(self.value, other.value, equal_nan=True)


def evaluate(
    function: Callable[..., Any],
    arguments: tuple[Any, ...],
    params: Mapping[str, Any],
    shape: tuple[int, ...],
    field: str,
) -> dict[str, Any]:
    """The reply to one call: its numbers as hexadecimal floats with dtype and shape, or what went wrong.

    Parameters
    ----------
    function : callable
        The subject.
    arguments, params : tuple, dict
        Positional and keyword arguments.
    shape : tuple of int
        What the contract says; an output of another shape is reported without its numbers.
    field : str
        The attribute of a result object that counts as the output.
    """
    try:
        output = function(*arguments, **params)
        array, dtype = to_numpy(output, field)
    except NotAnArray as error:
        return {"kind": "not_an_array", "message": str(error)}
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a subject that leaves has raised
        return {"kind": "raised", "message": _summary(error)}
    if array.shape != tuple(shape):
        return {
            "kind": "wrong_shape",
            "message": f"expected shape {tuple(shape)}, got {array.shape}",
            "dtype": dtype,
        }
    if array.dtype.kind not in "fiu":
        return {"kind": "wrong_dtype", "message": f"expected real floats, got an array of {dtype}", "dtype": dtype}
    numbers = [float(x).hex() for x in array.ravel().astype(np.float64)]
    boxed = hasattr(output, field)
    return {"kind": "value", "dtype": dtype, "shape": list(array.shape), "hex": numbers, "field": boxed}


def _summary(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[1:]
    where = f" ({_short(frames[-1].filename)}:{frames[-1].lineno}, in {frames[-1].name})" if frames else ""
    try:
        text = str(error)
    except Exception:
        text = "(its message cannot be read)"
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[: _LONGEST - 200] + where


def _short(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])
