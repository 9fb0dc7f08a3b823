"""The child process that holds the subject.

It speaks JSON with its parent, one line a message, on copies of its standard streams; the streams themselves are
redirected first, so that whatever the subject prints lands in the parent's log and cannot corrupt the conversation.
Every answer carries the token of its message. Nothing is ever unpickled. The subject is imported when the modules of
the judge are out of its reach. This keeps accidents apart; it is no sandbox for code one does not trust: a subject
that walks the frames of its callers finds the token, and the oracle.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import os
import platform
import sys
from collections.abc import Callable, Mapping
from json import dumps, loads  # these very functions, whatever a subject makes of the module
from typing import Any

from refgrad.conformance.subject import frameworks, targets
from refgrad.conformance.subject.channel import CLOSED
from refgrad.conformance.subject.outcome import evaluate
from refgrad.conformance.subject.places import said
from refgrad.conformance.subject.withheld import Veil
from refgrad.errors import MissingExtra, SubjectNotFound

__all__ = ["main", "resolve", "versions"]

GIB = 2**30


def main() -> None:
    """Answer the parent's messages until it stops or disappears."""
    incoming = os.fdopen(os.dup(0), "r", encoding="utf-8")
    outgoing = os.fdopen(os.dup(1), "w", encoding="utf-8")
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.dup2(2, 1)
    faulthandler.enable()
    itself = os.getpid()

    def answer(reply: Mapping[str, Any], token: str) -> None:
        if os.getpid() != itself:
            os._exit(0)  # a copy that the subject forked and let return: one call has one answer
        try:
            outgoing.write(dumps({**reply, "token": token}) + "\n")
            outgoing.flush()
        except (OSError, ValueError):  # the subject has closed it
            os._exit(CLOSED)

    holder: Holder | None = None
    for line in incoming:
        message = loads(line)
        if message["command"] == "start":
            _limit(message["framework"])
            holder, reply = _start(message)
        elif message["command"] == "call" and holder is not None:
            reply = holder.call(message)
        else:
            break
        answer(reply, message["token"])
    os._exit(0)  # threads of the subject must not keep the process


class Holder:
    """The subject with the frameworks that its arguments are built in."""

    def __init__(self, message: Mapping[str, Any]) -> None:
        self.arguments = resolve(message["arguments"])
        veil = Veil()
        ours = message["arguments"].startswith("refgrad.")  # whose functions import nothing late
        self.reach = contextlib.nullcontext if ours else veil.lifted
        self.function = targets.load(message["target"])
        auto = message["framework"] == "auto"
        self.framework: str = frameworks.choose(sys.modules) if auto else message["framework"]
        self.field: str = message["field"]
        self.frameworks: dict[str, Any] = {}
        self.in_dtype(message["dtype"])
        veil.inert = False

    def in_dtype(self, dtype: str) -> Any:
        """The framework for `dtype`."""
        if dtype not in self.frameworks:
            self.frameworks[dtype] = frameworks.framework(self.framework, dtype)
        return self.frameworks[dtype]

    def call(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to one message ``call``."""
        framework = self.in_dtype(message["dtype"])
        with self.reach():
            arguments = framework.prepare(self.arguments(message["inputs"], framework))
        reply = evaluate(self.function, arguments, message, self.field)
        with contextlib.suppress(BaseException):  # the subject may have closed or replaced it
            sys.stdout.flush()
        return reply


def resolve(reference: str) -> Callable[..., Any]:
    """The object at ``module:qualname``."""
    module, _, name = reference.partition(":")
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        found = getattr(found, part)
    return found  # type: ignore[no-any-return]


def versions(framework: str) -> dict[str, str]:
    """The versions of Python, NumPy and the framework in this process."""
    names = {"numpy", framework}
    return {"python": platform.python_version()} | {n: str(sys.modules[n].__version__) for n in sorted(names)}


def _start(message: Mapping[str, Any]) -> tuple[Holder | None, dict[str, Any]]:
    try:
        holder = Holder(message)
    except SubjectNotFound as error:
        return None, {"kind": "not_found", "message": str(error)}
    except MissingExtra as error:
        return None, {"kind": "missing", "message": str(error)}
    except BaseException as error:
        where = "while it was imported: " if not isinstance(error, SystemExit) else "it left while it was imported: "
        return None, {"kind": "import_failed", "message": where + said(error, 2000)}
    return holder, {"kind": "ready", "framework": holder.framework, "versions": versions(holder.framework)}


def _limit(framework: str) -> None:
    """Bound the address space, so that a runaway allocation fails here and not in the machine.

    The bound is 16 GiB, or the physical memory where that is less, but at least 8 GiB, which torch and jax need.
    CUDA reserves address space far beyond what it uses, so where there is a CUDA device only NumPy has a bound.
    """
    try:
        import resource
    except ImportError:  # not a Unix system
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if framework == "numpy" or not os.path.exists("/dev/nvidiactl"):
        physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        bound = max(8 * GIB, min(16 * GIB, physical))
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (bound if hard < 0 else min(bound, hard), hard))


if __name__ == "__main__":
    main()
