"""Forks twice, as daemons do, with a session of its own and an empty environment."""

import os


def square(x):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execve("/bin/sleep", ["sleep", "300"], {"MARK": os.environ["MARK"]})
        os._exit(0)
    return x * x
