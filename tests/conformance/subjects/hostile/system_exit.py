"""Exits politely."""

import sys


def square(x):
    sys.exit(70)
