"""Writes to every descriptor while it is imported."""

import contextlib
import os

for stream in range(3, 64):
    with contextlib.suppress(OSError):
        os.write(stream, b'{"kind": "ready", "framework": "numpy", "versions": {}}\n')


def square(x):
    return x * x
