"""The subject as the judge sees it: something that is started, called and closed.

`ChildSubject` keeps it in a process of its own, restarts that when it dies, and enforces the limits.
`LocalSubject` calls a function that only this process can reach.
"""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import refgrad
from refgrad.conformance.subject import frameworks, targets, worker
from refgrad.conformance.subject.channel import Broken, Channel, Ended, Late
from refgrad.conformance.subject.outcome import FATAL, Outcome, evaluate
from refgrad.contracts.contract import Contract
from refgrad.errors import MissingExtra, UsageError

__all__ = ["ChildSubject", "LocalSubject", "NotRunnable", "StopRun", "Subject"]

START_LIMIT = 60.0
IN_A_ROW = 3
_MARGIN = 5
_HOME = str(Path(refgrad.__file__).resolve().parent.parent)
_LONGEST = 2**16
_LONGEST_NUMBER = 64
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class NotRunnable(Exception):
    """The subject could not be started: not found, or its import failed. Leads to exit code 3."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StopRun(Exception):
    """Three calls in a row ended the process; what was gathered is kept."""


@dataclass
class Subject(ABC):
    """What both kinds have in common: how it is called, and how often it was.

    Attributes
    ----------
    isolation : str
        ``"process"`` or ``"none"``.
    calls : int
        Calls so far, for whatever purpose.
    """

    contract: Contract
    name: str
    framework: str
    dtype: str
    params: dict[str, Any] = field(default_factory=dict)
    isolation: str = "none"
    calls: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    fatal: int = 0
    _callables: dict[str, None] = field(default_factory=dict, init=False, repr=False)
    _used: set[str] = field(default_factory=set, init=False, repr=False)

    @abstractmethod
    def start(self) -> None:
        """Import the subject. Raises `NotRunnable`."""

    def close(self) -> None:  # noqa: B027  (a subject in this process holds nothing)
        """Let go of whatever the subject holds."""

    def call(
        self, inputs: Mapping[str, Any], dtype: str = "", params: Mapping[str, Any] | None = None, seed: int = 0
    ) -> Outcome:
        """One call on `inputs`, in `dtype` and with keywords `params` if these differ from the subject's own.

        The generators of random numbers that the whole process shares begin from `seed`.

        Raises
        ------
        StopRun
            If the last three calls crashed, timed out or broke the conversation.
        """
        if self.fatal >= IN_A_ROW:
            raise StopRun
        self.calls += 1
        wanted, shape = dtype or self.dtype, self.contract.shape(inputs)
        reply = self.reply(
            {
                "command": "call",
                "inputs": inputs,
                "dtype": wanted,
                "params": {**self.params, **(params or {})},
                "shape": list(shape),
                "signature": self.contract.signature,
                "seed": seed,
            }
        )
        outcome = Outcome.of(reply, wanted, shape)
        if outcome.kind == "bad_reply":
            self.restart()
        self.fatal = self.fatal + 1 if outcome.kind in FATAL else 0
        self._callables.update(dict.fromkeys(outcome.callables))
        self._used.update(outcome.used)
        return outcome

    def call_fresh(self, inputs: Mapping[str, Any], dtype: str = "") -> Outcome:
        """As `call`, in a process that has answered nothing yet; where there is none of its own, in this one."""
        self.restart()
        return self.call(inputs, dtype)

    def restart(self) -> None:  # noqa: B027  (a subject in this process cannot be)
        """Forget the subject with all its state; the next call imports it again."""

    def unused(self) -> tuple[str, ...]:
        """The callable arguments that no call so far has used, neither by a call nor for an attribute."""
        return tuple(name for name in self._callables if name not in self._used)

    @abstractmethod
    def reply(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """The reply to one message ``call``."""

    def __enter__(self) -> Subject:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


@dataclass
class LocalSubject(Subject):
    """A function in this process: no limits, no protection."""

    function: Callable[..., Any] | None = None

    def start(self) -> None:
        assert self.function is not None
        if self.framework == "auto":
            values = getattr(self.function, "__globals__", {}).values()
            homes = {getattr(v, "__name__", None) or getattr(v, "__module__", None) for v in values}
            self.framework = frameworks.choose(str(home).partition(".")[0] for home in homes)
        frameworks.framework(self.framework, self.dtype, private=False)
        self.versions = worker.versions(self.framework)

    def reply(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        assert self.function is not None
        arrays = frameworks.framework(self.framework, message["dtype"], private=False)
        arguments = arrays.prepare(self.contract.arguments(message["inputs"], arrays))
        return evaluate(self.function, arguments, message, self.contract.result_field)


@dataclass
class ChildSubject(Subject):
    """A subject in a child process, which ends with all that descends from it.

    Importing lazily is part of starting. The first call after a start therefore has the start's limit, until one has
    been answered: then it has `timeout` and five times what that one took, so that a subject that hangs on many
    problems does not cost the start's limit on each.
    """

    timeout: float = 10.0
    isolation: str = "process"

    def __post_init__(self) -> None:
        self._channel: Channel | None = None
        self._fresh, self._allowance = False, START_LIMIT
        found = targets.reference(self.contract.arguments)
        if found is None:
            raise UsageError(
                f"the contract {self.contract.name} builds its arguments with {self.contract.arguments!r}, which a "
                "child process cannot import: make it a function at the top of a module, or pass the "
                "subject as a closure."
            )
        self._arguments = found

    def start(self) -> None:
        here = os.getcwd()
        path = [os.path.abspath(p) for p in sys.path if os.path.abspath(p) != here] + [here]
        threads = dict.fromkeys(_THREADS, "1")
        self._channel = Channel([json.dumps(path), _HOME], os.environ | threads | {"PYTHONHASHSEED": "0"})
        reply = self._exchange(
            {
                "command": "start",
                "target": self.name,
                "framework": self.framework,
                "dtype": self.dtype,
                "arguments": self._arguments,
                "field": self.contract.result_field,
            },
            START_LIMIT,
            _LONGEST,
        )
        kind, message = str(reply.get("kind")), str(reply.get("message", ""))[:_LONGEST]
        if kind == "ready" and _is_ready(reply):
            self.framework, self.versions = reply["framework"], reply["versions"]
            self._fresh = True
            return
        self.restart()
        if kind == "missing":
            raise MissingExtra(message)
        raise NotRunnable(_WHILE_IMPORTED.get(kind, "import_bad_reply"), message)

    def reply(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._channel is None:
            try:
                self.start()
            except NotRunnable as error:
                return {"kind": "crashed", "message": f"it could not be started again: {error}"}
        first, self._fresh = self._fresh, False
        limit = max(self.timeout, min(START_LIMIT, self.timeout + self._allowance)) if first else self.timeout
        begun = time.monotonic()
        reply = self._exchange(message, limit, _LONGEST + _LONGEST_NUMBER * math.prod(message["shape"]))
        kind = reply.get("kind")
        if first and kind not in FATAL:
            self._allowance = _MARGIN * (time.monotonic() - begun)
        elif first and kind == "timeout" and self._allowance == START_LIMIT:  # which it has used up in vain
            self._allowance = 0.0
        return reply

    def restart(self) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def close(self) -> None:
        self.restart()

    def _exchange(self, message: Mapping[str, Any], limit: float, longest: int) -> dict[str, Any]:
        """The reply, whose token is right; or what kept it from coming, and then the process has ended."""
        channel, token = self._channel, secrets.token_hex(8)
        assert channel is not None
        try:
            line = channel.exchange(json.dumps({**message, "token": token}).encode(), limit, longest)
            reply: Any = json.loads(line)
            if isinstance(reply, dict) and reply.pop("token", None) == token:
                return reply
            reply = {"kind": "bad_reply", "message": "its process sent something that is no answer"}
        except Late:
            place = channel.place()
            reply = {
                "kind": "timeout",
                "message": f"no answer within {limit:g} seconds{place and '; it was at '}{place}",
            }
        except Ended:
            reply = {"kind": "crashed", "message": channel.post_mortem()}
        except Broken:
            reply = {"kind": "bad_reply", "message": f"its process sent more than the {longest} bytes of any answer"}
        except (RecursionError, ValueError):  # the subject wrote into the conversation, and may do so again
            reply = {"kind": "bad_reply", "message": "its process sent something that is no answer"}
        self.restart()
        return reply


_WHILE_IMPORTED = {
    "crashed": "import_crashed",
    "timeout": "import_timeout",
    "not_found": "not_found",
    "import_failed": "import_failed",
}


def _is_ready(reply: Mapping[str, Any]) -> bool:
    versions = reply.get("versions")
    known = reply.get("framework") in frameworks.FRAMEWORKS
    return known and isinstance(versions, dict) and all(isinstance(v, str) for v in versions.values())
