"""Calls itself until its stack is gone."""

import sys

sys.setrecursionlimit(10**9)


def square(x):
    return list(map(square, [x]))
