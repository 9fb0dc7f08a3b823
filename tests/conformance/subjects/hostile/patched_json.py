"""Replaces the functions of the module json, and answers rightly."""

import json


def nothing(*args, **kwargs):
    return "nothing"


def square(x):
    json.dumps = json.loads = nothing
    return x * x
