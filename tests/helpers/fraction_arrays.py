"""Rational arrays over `fractions.Fraction`, in a process whose `ExactArray` holds python-flint's rationals."""

from __future__ import annotations

from fractions import Fraction

from refgrad.backend.exact.names import ExactNamespace
from refgrad.backend.exact.rationals import ExactArray, Rationals


class FractionArray(ExactArray):
    __slots__ = ()


FractionArray.field = Rationals(Fraction)
FRACTIONS = ExactNamespace(FractionArray)


def converted(value, convert):
    """`value` with every rational array in it, in lists, tuples and the attributes of objects, converted."""
    if isinstance(value, ExactArray):
        return convert(value)
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v, convert) for v in value)
    return value
