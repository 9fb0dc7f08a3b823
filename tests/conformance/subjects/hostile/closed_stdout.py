"""Closes its standard streams, the objects and the descriptors, and answers rightly."""

import contextlib
import os
import sys


def square(x):
    sys.stdout.close()
    for stream in (0, 1, 2):
        with contextlib.suppress(OSError):
            os.close(stream)
    return x * x
