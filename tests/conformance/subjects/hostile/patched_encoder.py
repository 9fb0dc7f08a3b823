"""Replaces what encodes JSON from the inside."""

import json


def nothing(*args, **kwargs):
    return "nothing"


def square(x):
    json.JSONEncoder.encode = nothing
    return x * x
