"""Kills the process above it."""

import os
import signal
import time


def square(x):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(0.5)
    return x * x
