"""Closes every descriptor, and answers rightly."""

import os


def square(x):
    os.closerange(0, 256)
    return x * x
