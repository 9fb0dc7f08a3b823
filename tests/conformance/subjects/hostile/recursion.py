"""Calls itself without end."""


def square(x):
    return square(x)
