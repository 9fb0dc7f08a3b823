"""The subject as the judge sees it: something that is started, called and closed.

`ChildSubject` keeps it in a process of its own, restarts that when it dies, and enforces the limits.
`LocalSubject` calls a function that only this process can reach.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import refgrad
from refgrad.conformance.subject import frameworks, targets, worker
from refgrad.conformance.subject.outcome import FATAL, Outcome, evaluate
from refgrad.contracts.contract import Contract
from refgrad.errors import MissingExtra, UsageError

__all__ = ["ChildSubject", "LocalSubject", "NotRunnable", "StopRun", "Subject"]

START_LIMIT = 60.0
IN_A_ROW = 3
_BOOT = """
import sys, json
sys.path.insert(0, sys.argv[2])
import refgrad  # this very copy, whatever the path below would find
sys.path[:] = json.loads(sys.argv[1])
from refgrad.conformance.subject.worker import main
main()
"""
_HOME = str(Path(refgrad.__file__).resolve().parent.parent)
_LOG_LIMIT = 2**20
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class NotRunnable(Exception):
    """The subject could not be started: not found, or its import failed. Leads to exit code 3."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class StopRun(Exception):
    """Three calls in a row ended in a crash or a timeout; what was gathered is kept."""


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

    @abstractmethod
    def start(self) -> None:
        """Import the subject. Raises `NotRunnable`."""

    def close(self) -> None:  # noqa: B027  (a subject in this process holds nothing)
        """Let go of whatever the subject holds."""

    def call(self, inputs: Mapping[str, Any], dtype: str = "", params: Mapping[str, Any] | None = None) -> Outcome:
        """One call on `inputs`, in `dtype` and with keywords `params` if these differ from the subject's own.

        Raises
        ------
        StopRun
            If the last three calls crashed or timed out.
        """
        if self.fatal >= IN_A_ROW:
            raise StopRun
        self.calls += 1
        wanted = dtype or self.dtype
        reply = self.reply(
            {
                "command": "call",
                "inputs": inputs,
                "dtype": wanted,
                "params": {**self.params, **(params or {})},
                "shape": list(self.contract.shape(inputs)),
            }
        )
        outcome = Outcome.of(reply, wanted)
        self.fatal = self.fatal + 1 if outcome.kind in FATAL else 0
        return outcome

    def unused(self) -> tuple[str, ...]:
        """The functions among the arguments that no call has used."""
        return ()

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
        shape, name = tuple(message["shape"]), self.contract.result_field
        return evaluate(self.function, arguments, message["params"], shape, name)


@dataclass
class ChildSubject(Subject):
    """A subject in a child process, in a session of its own so that its children end with it."""

    timeout: float = 10.0
    isolation: str = "process"

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._buffer = b""
        self._log = tempfile.TemporaryFile("a+b")  # noqa: SIM115 - closed with the subject
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
        self._buffer = b""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _BOOT, json.dumps(path), _HOME],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | threads | {"PYTHONHASHSEED": "0"},
            start_new_session=True,
        )
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
        )
        if reply["kind"] == "ready":
            self.framework, self.versions = reply["framework"], reply["versions"]
            return
        self._kill()
        if reply["kind"] == "missing":
            raise MissingExtra(reply["message"])
        kind = {"crashed": "import_crashed", "timeout": "import_timeout"}.get(reply["kind"], reply["kind"])
        raise NotRunnable(kind, reply["message"])

    def reply(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._process is None:
            try:
                self.start()
            except NotRunnable as error:
                return {"kind": "crashed", "message": f"it could not be started again: {error}"}
        return self._exchange(message, self.timeout)

    def close(self) -> None:
        self._kill()
        self._log.close()

    def _exchange(self, message: Mapping[str, Any], limit: float) -> dict[str, Any]:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        if os.fstat(self._log.fileno()).st_size > _LOG_LIMIT:
            self._log.truncate(0)
        deadline = time.monotonic() + limit
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            line = self._line(process.stdout.fileno(), deadline)
        except BrokenPipeError:
            line = b""
        if line is None:
            where = self._interrupt()
            return {"kind": "timeout", "message": f"no answer within {limit:g} seconds{where}"}
        if not line:
            return {"kind": "crashed", "message": self._post_mortem()}
        try:
            reply: dict[str, Any] = json.loads(line)
        except ValueError:  # the subject wrote into the conversation: what comes after it cannot be trusted either
            self._kill()
            return {"kind": "crashed", "message": "its process sent something that is no answer"}
        return reply

    def _line(self, stream: int, deadline: float) -> bytes | None:
        """The next line; empty when the child has closed its end, None when the deadline passes."""
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                piece = os.read(stream, 2**16)
                if not piece:
                    return b""
                self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _interrupt(self) -> str:
        """Where the child hangs, from the traceback that faulthandler writes when it is aborted."""
        process = self._process
        assert process is not None
        process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
        frames = [line.strip() for line in self._tail().splitlines() if line.strip().startswith("File ")]
        self._kill()
        return f"; it was at {frames[0]}" if frames and "refgrad/conformance" not in frames[0] else ""

    def _post_mortem(self) -> str:
        process = self._process
        assert process is not None
        try:
            code = process.wait(1.0)
        except subprocess.TimeoutExpired:
            code = None
        self._kill()
        if code is not None and code < 0:
            how = f"its process was killed by {signal.Signals(-code).name}"
        else:
            how = f"its process ended with exit code {code}"
        last = self._tail().strip().splitlines()[-3:]
        return how + (f"; it last wrote: {' / '.join(last)}" if last else "")

    def _tail(self) -> str:
        size = os.fstat(self._log.fileno()).st_size
        self._log.seek(max(0, size - 4000))
        return self._log.read().decode(errors="replace")

    def _kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
