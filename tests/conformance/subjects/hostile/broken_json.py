"""Writes broken JSON to every descriptor: deep, endless in numbers, or no text at all."""

import contextlib
import os

LINES = [b"[" * 60000, b"1" * 10000, b"\xff\xfe{}", b'{"kind": "value"', b"[]", b"null"]


def square(x):
    line = LINES[os.getpid() % len(LINES)]
    for stream in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(stream, line + b"\n")
    return x * x
