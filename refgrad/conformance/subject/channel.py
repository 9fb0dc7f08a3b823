"""The subject's process as the judge holds it: lines out, lines back, and what it prints, none of them without bound.

What comes back is untrusted: a line that does not end, or never comes, or is longer than any answer may be, ends the
exchange, and what is printed is read all the time, so that nobody waits for it, and forgotten but for its end.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Broken", "Channel", "Ended", "Late"]

CLOSED = os.EX_IOERR
"""How a worker exits whose output has been closed."""
_PROGRAM = Path(__file__).with_name("supervisor.py")
_PIECE = _TAIL = 2**16
_GRACE = 3.0


class Late(Exception):
    """No line came in time."""


class Ended(Exception):
    """The process has ended, or closed its output."""


class Broken(Exception):
    """What came is longer than any line may be."""


class Channel:
    """One process of a subject, from its start to its end and that of its descendants.

    Parameters
    ----------
    arguments : list of str
        For the program `refgrad.conformance.subject.supervisor`.
    environment : dict of str to str
    """

    def __init__(self, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
            start_new_session=True,
        )
        self.log = bytearray()
        self._outgoing, self._incoming = b"", b""
        self._longest = 0
        self._selector = selectors.DefaultSelector()
        for stream in self._streams():
            os.set_blocking(stream, False)
        self._in, self._out, self._err = self._streams()
        for stream in (self._out, self._err):
            self._selector.register(stream, selectors.EVENT_READ)

    def exchange(self, line: bytes, limit: float, longest: int) -> bytes:
        """The line, of at most `longest` bytes, that answers `line` within `limit` seconds.

        Raises
        ------
        Late, Ended, Broken
        """
        self._outgoing, self._longest = line + b"\n", longest
        with contextlib.suppress(KeyError):
            self._selector.register(self._in, selectors.EVENT_WRITE)
        deadline = time.monotonic() + limit
        while b"\n" not in self._incoming:
            if len(self._incoming) > longest:
                raise Broken
            if self._out not in self._selector.get_map():
                raise Ended
            left = deadline - time.monotonic()
            if left <= 0:
                raise Late
            self._pass_on(left)
        answer, _, self._incoming = self._incoming.partition(b"\n")
        return answer

    def place(self) -> str:
        """Where the process hangs, from the traceback that faulthandler writes when it is aborted; it ends by that."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGABRT)
        self._wait(1.0)
        frames = [line.strip() for line in self._text().splitlines() if line.strip().startswith("File ")]
        return frames[0] if frames and "refgrad/conformance" not in frames[0] else ""

    def post_mortem(self) -> str:
        """How the process ended, and what it last wrote, in a sentence."""
        code = self._wait(1.0)
        if code in (None, CLOSED):
            how = "its process closed its output"
        elif code < 0:  # type: ignore[operator]
            how = f"its process was killed by {signal.Signals(-code).name}"  # type: ignore[operator]
        else:
            how = f"its process ended with exit code {code}"
        last = self._text().strip().splitlines()[-3:]
        return how + (f"; it last wrote: {' / '.join(last)}" if last else "")

    def close(self) -> None:
        """End the process and every descendant."""
        self.process.terminate()
        self._wait(_GRACE)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._selector.close()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def _streams(self) -> tuple[int, int, int]:
        streams = self.process.stdin, self.process.stdout, self.process.stderr
        return tuple(stream.fileno() for stream in streams if stream is not None)  # type: ignore[return-value]

    def _wait(self, limit: float) -> int | None:
        """The exit code; None if the process goes on after `limit` seconds."""
        deadline = time.monotonic() + limit
        while self.process.poll() is None and time.monotonic() < deadline:
            self._pass_on(0.01)
        while self._pass_on(0.0) and time.monotonic() < deadline:  # what it wrote before it ended
            pass
        return self.process.returncode

    def _pass_on(self, limit: float) -> bool:
        """Write and read what can be, waiting for it at most `limit` seconds; whether there was anything."""
        if not self._selector.get_map():
            time.sleep(limit)
            return False
        ready = self._selector.select(limit)
        for key, _ in ready:
            stream = key.fd
            try:
                if stream == self._in:
                    self._outgoing = self._outgoing[os.write(stream, self._outgoing[:_PIECE]) :]
                    done = not self._outgoing
                else:
                    piece = os.read(stream, _PIECE)
                    done = not piece
                    if stream == self._err:
                        self.log += piece
                        if len(self.log) > 2 * _TAIL:
                            del self.log[:-_TAIL]
                    else:
                        self._incoming += piece[: max(0, self._longest + 1 - len(self._incoming))]
            except BlockingIOError:
                continue
            except BrokenPipeError:  # whoever has gone is seen by the end of what it sends
                done = True
            if done:
                self._selector.unregister(stream)
        return bool(ready)

    def _text(self) -> str:
        return self.log[-4000:].decode(errors="replace")
