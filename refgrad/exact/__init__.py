"""Exact arithmetic for people: rational arrays, certified enclosures, and the way between them and floats.

>>> from fractions import Fraction
>>> from refgrad import exact
>>> a = exact.asarray([[1, "1/3"], [Fraction(2, 5), 4]])
>>> a @ a
ExactArray([[17/15, 5/3],
            [2, 242/15]])
>>> a[0, 1] == Fraction(1, 3)
True
>>> exact.to_fractions(a.sum())
Fraction(86, 15)

How wrong is a float result, and how wrong must it be? `evaluate` gives the truth, `error` the distance from it, and
`attainable` the error that a stable method in the same precision may leave on the same input:

>>> import numpy as np
>>> x = np.array([1e8, 1.0, -1e8], np.float32)
>>> total = lambda x: (x[0] + x[1]) + x[2]
>>> error = exact.error(total(x), exact.evaluate(total, x))
>>> error  # the sum came out as 0
Fraction(1, 1)
>>> float(error / exact.attainable(total, x, "float32")) < 1  # and no float32 summation can promise better
True

The rational numbers are python-flint's where it is installed and `fractions.Fraction` otherwise; balls, the certified
enclosures that `evaluate` falls back on when a function leaves the rationals, need python-flint. Conversion to floats
is explicit, with `astype` or `float`, and rounds to nearest; so does an assignment ``plain[i] = x[j]`` into an array of
floats.
"""

from __future__ import annotations

from contextlib import suppress

from refgrad.accuracy import UNIT_ROUNDOFF
from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.rationals import ExactArray
from refgrad.errors import MissingExtra
from refgrad.exact.arrays import asarray, balls, bounds, precision, to_fractions
from refgrad.exact.enclosure import Enclosure, evaluate
from refgrad.exact.floats import attainable, distance, error

with suppress(MissingExtra):  # so that rationals can be turned into balls wherever there are balls
    from refgrad.backend.exact import balls as _balls  # noqa: F401

__all__ = [
    "UNIT_ROUNDOFF", "ElementArray", "Enclosure", "ExactArray", "asarray", "attainable", "balls", "bounds", "distance",
    "error", "evaluate", "precision", "to_fractions",
]  # fmt: skip
