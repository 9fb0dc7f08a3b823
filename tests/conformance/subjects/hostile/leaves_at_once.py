"""Leaves its process without a word."""

import os


def square(x):
    os._exit(0)
