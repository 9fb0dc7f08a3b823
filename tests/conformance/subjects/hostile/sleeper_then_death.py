"""Starts a process in a session of its own and dies."""

import os
import subprocess


def square(x):
    subprocess.Popen(["sleep", "300"], start_new_session=True)
    os._exit(3)
