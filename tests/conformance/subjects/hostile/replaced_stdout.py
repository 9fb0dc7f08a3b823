"""Replaces its standard output with one that cannot be flushed, and answers rightly."""

import sys


class Stream:
    def write(self, text):
        return len(text)

    def flush(self):
        raise RuntimeError("it cannot be flushed")


sys.stdout = Stream()


def square(x):
    print("this is lost")
    return x * x
