"""array-api-strict with operators that give way to traced values.

Its operators raise TypeError on an operand they do not know, where the Python data model asks for NotImplemented, so
that ``strict_array * traced`` never reaches the traced value's ``__rmul__``. Importing this module mends that, and
nothing else.
"""

from __future__ import annotations

import array_api_strict
from array_api_strict._array_object import Array

from refgrad.autodiff.core import Tracer

OPERATORS = ("add", "sub", "mul", "truediv", "matmul", "pow", "lt", "le", "gt", "ge", "eq", "ne")


def _giving_way(operator):
    def method(self, other):
        return NotImplemented if isinstance(other, Tracer) else operator(self, other)

    return method


for _name in OPERATORS:
    setattr(Array, f"__{_name}__", _giving_way(getattr(Array, f"__{_name}__")))

__all__ = ["array_api_strict"]
