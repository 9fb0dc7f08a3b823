"""Leaves threads running at each call, and answers rightly."""

import threading
import time


def work():
    while True:
        time.sleep(0.001)


def square(x):
    threading.Thread(target=work).start()
    return x * x
