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

The rational numbers are python-flint's where it is installed and `fractions.Fraction` otherwise; balls, the certified
enclosures that `run` falls back on when a function leaves the rationals, need python-flint.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import tree
from refgrad.backend.elements import ElementArray
from refgrad.backend.exact import RATIONAL, RATIONALS, ExactArray
from refgrad.errors import Inconclusive, NotRational, Undecided
from refgrad.typing import Array, Tree

__all__ = ["Enclosure", "ExactArray", "asarray", "balls", "bounds", "precision", "run", "to_fractions"]

_START, _LIMIT, _BITS = 128, 4096, 73


def asarray(x: Any) -> ExactArray:
    """`x` as an array of rational numbers.

    Parameters
    ----------
    x : array, number, string or nested sequence of them
        A string is read as a fraction or decimal, ``"1/3"`` or ``"0.1"``; a float means its exact binary value.

    Raises
    ------
    InvalidInput
        If a number is infinite or not a number.
    """
    return RATIONAL.asarray(x)  # type: ignore[no-any-return]


def balls(x: Any) -> Array:
    """`x` as an array of balls that contain it, at the precision in force; see `precision`."""
    from refgrad.backend.balls import BALL

    return BALL.asarray(x)


def precision(bits: int) -> AbstractContextManager[None]:
    """A ``with`` block inside which balls are computed with `bits` bits."""
    from refgrad.backend.balls import precision

    return precision(bits)


def to_fractions(x: Any) -> Any:
    """The elements of `x` as `fractions.Fraction`: one for shape (), else an object array of them."""
    data = asarray(x).data
    result = np.frompyfunc(RATIONALS.fraction, 1, 1)(data)
    return result if isinstance(result, np.ndarray) and result.shape else RATIONALS.fraction(data.item())


def bounds(x: Array) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the elements of an exact array or of balls, as object arrays of Fractions."""
    if isinstance(x, ExactArray) or not isinstance(x, ElementArray):
        values = np.asarray(to_fractions(x), object)
        return values, values
    from refgrad.backend.balls import BALLS

    pairs = [BALLS.bounds(element) for element in x.data.ravel()]
    low, high = (np.array([p[i] for p in pairs] + [None], object)[:-1].reshape(x.shape) for i in (0, 1))
    return low, high


@dataclass(frozen=True)
class Enclosure:
    """What `run` returns: certified bounds of every number of the result.

    Attributes
    ----------
    value : tree
        The result as exact arrays or as balls.
    low, high : tree
        Object arrays of Fractions with ``low <= true value <= high``; equal where the result is rational.
    bits : int or None
        The precision of the balls; None for a rational result, which is exact.
    """

    value: Tree
    low: Tree
    high: Tree
    bits: int | None

    @property
    def exact(self) -> bool:
        """Whether the result is known exactly."""
        return self.bits is None


def run(f: Callable[..., Tree], *args: Tree, bits: int = _BITS) -> Enclosure:
    """``f(*args)`` in rational arithmetic if f allows it, and otherwise in balls accurate to `bits` bits.

    Parameters
    ----------
    f : callable
        Takes exact arrays and returns one, or a tree of them.
    *args : trees
        Arrays and floats are taken at their exact values; strings, ints and callables are passed on as they are.
    bits : int
        The relative accuracy asked of the balls, in the largest norm of each array of the result.

    Raises
    ------
    Inconclusive
        If 4096 bits do not give that accuracy.
    """
    given = tree.map(lambda leaf: asarray(leaf) if _is_numeric(leaf) else leaf, args)
    try:
        return _enclosure(f(*given), None)
    except NotRational:
        pass
    working = _START
    while working <= _LIMIT:
        with precision(working):
            try:
                found = _enclosure(f(*tree.map(lambda x: balls(x) if isinstance(x, ExactArray) else x, given)), working)
            except Undecided:
                found = None
        if found is not None and _accurate(found, bits):
            return found
        working *= 2
    raise Inconclusive(
        f"the result is not known to {bits} bits at a working precision of {_LIMIT} bits: it may be exactly zero, "
        "or a branch may turn on numbers that are equal"
    )


def _is_numeric(leaf: Any) -> bool:
    if isinstance(leaf, np.ndarray):
        return leaf.dtype.kind in "fO"  # masks and labels stay as they are
    return isinstance(leaf, (float, Fraction, np.floating))


def _enclosure(value: Tree, bits: int | None) -> Enclosure:
    leaves, structure = tree.flatten(value)
    pairs = [bounds(leaf) for leaf in leaves]
    return Enclosure(
        value, structure.unflatten([p[0] for p in pairs]), structure.unflatten([p[1] for p in pairs]), bits
    )


def _accurate(found: Enclosure, bits: int) -> bool:
    for low, high in zip(tree.flatten(found.low)[0], tree.flatten(found.high)[0], strict=True):
        width = max((h - low for low, h in zip(low.flat, high.flat, strict=True)), default=Fraction(0))
        scale = max((min(abs(a), abs(b)) for a, b in zip(low.flat, high.flat, strict=True)), default=Fraction(0))
        if width * 2**bits > scale and width:
            return False
    return True
