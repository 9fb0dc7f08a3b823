"""Writes a byte without a newline to every descriptor now and then, without end."""

import contextlib
import os
import time


def square(x):
    while True:
        for stream in range(3, 64):
            with contextlib.suppress(OSError):
                os.write(stream, b" ")
        time.sleep(0.05)
