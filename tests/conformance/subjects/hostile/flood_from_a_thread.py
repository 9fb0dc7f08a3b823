"""Prints without end from a thread, and answers rightly."""

import os
import threading


def flood():
    while True:
        os.write(1, b"more " * 1000)


def square(x):
    if threading.active_count() == 1:
        threading.Thread(target=flood, daemon=True).start()
    return x * x
