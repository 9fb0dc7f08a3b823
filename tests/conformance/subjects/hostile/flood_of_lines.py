"""Prints half a million lines in its first call, and answers rightly."""

CALLS = []


def square(x):
    if not CALLS:
        for _ in range(500_000):
            print("another line")
    CALLS.append(1)
    return x * x
