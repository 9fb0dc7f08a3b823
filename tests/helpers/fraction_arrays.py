"""Rational arrays over `fractions.Fraction`, in a process whose `ExactArray` holds python-flint's rationals."""

from __future__ import annotations

from fractions import Fraction

from refgrad.backend import register
from refgrad.backend.exact.rationals import ExactArray, Rationals
from refgrad.backend.exact.table import ElementBackend


class FractionArray(ExactArray):
    __slots__ = ()


FractionArray.field = Rationals(Fraction)
FRACTIONS = ElementBackend(FractionArray)
register(FractionArray, FRACTIONS)


def converted(value, convert):
    """`value` with every rational array in it, in lists, tuples and the attributes of objects, converted."""
    if isinstance(value, ExactArray):
        return convert(value)
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v, convert) for v in value)
    return value
