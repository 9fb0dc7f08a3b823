"""Ignores whatever signal can be ignored, and hangs."""

import contextlib
import signal
import time

for number in range(1, signal.NSIG):
    with contextlib.suppress(OSError, ValueError):
        signal.signal(number, signal.SIG_IGN)


def square(x):
    while True:
        time.sleep(0.1)
