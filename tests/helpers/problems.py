"""What tests ask of a problem: its floats, the smallest that a strategy finds, exact properties of its matrices."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import permutations
from random import Random

from hypothesis import Phase, find, settings


def smallest(strategy, condition=lambda value: True):
    phases = [Phase.generate, Phase.shrink]  # the phase explain would take most of the time
    return find(strategy, condition, settings=settings(database=None, phases=phases), random=Random(0))


def floats(value):
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [x for item in value for x in floats(item)]
    return [value] if isinstance(value, float) else []


def determinant(A):
    """By the sum over permutations, on Fractions."""
    total, n = Fraction(0), len(A)
    for order in permutations(range(n)):
        sign = (-1) ** sum(order[i] > order[j] for j in range(n) for i in range(j))
        total += sign * math.prod((Fraction(A[i][order[i]]) for i in range(n)), start=Fraction(1))
    return total


def positive_definite(A):
    """Whether A is symmetric and all of its leading minors are positive."""
    n = len(A)
    symmetric = all(A[i][j] == A[j][i] for i in range(n) for j in range(n))
    return symmetric and all(determinant([row[:k] for row in A[:k]]) > 0 for k in range(1, n + 1))


def diagonal(A):
    return not any(A[i, j] != 0 for i in range(len(A)) for j in range(len(A)) if i != j)


def multiple_of_identity(A):
    return diagonal(A) and all(A[i, i] == A[0, 0] for i in range(len(A)))
