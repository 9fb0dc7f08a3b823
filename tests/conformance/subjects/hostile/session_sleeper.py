"""Starts a process in a session of its own, which outlives every group."""

import subprocess


def square(x):
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    return x * x
