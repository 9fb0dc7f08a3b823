"""Raises an error whose message has a hundred million letters."""


def square(x):
    raise ValueError("a" * 100_000_000)
