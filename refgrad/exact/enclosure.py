"""What a function is worth: its value in rational arithmetic, or certified bounds of it from balls."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import tree
from refgrad.backend.exact.array import TABLES, ElementArray
from refgrad.backend.exact.integers import Integers
from refgrad.backend.exact.rationals import ExactArray, size_limit
from refgrad.errors import Inconclusive, InvalidInput, Kink, NotRational, OutsideDomain, RefgradError, Undecided
from refgrad.exact.arrays import asarray, balls, bounds, precision
from refgrad.typing import Tree

__all__ = ["Enclosure", "as_arguments", "evaluate"]

_START, _LIMIT, _BITS, _LONGEST = 128, 4096, 73, 2**20


@dataclass(frozen=True, repr=False)
class Enclosure:
    """What `evaluate` returns: certified bounds of every number of the result.

    Attributes
    ----------
    value : tree
        The result as exact arrays or as balls.
    low, high : tree
        Object arrays of Fractions with ``low <= true value <= high``, as from `bounds`; equal where the result is
        rational.
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

    def __repr__(self) -> str:
        how = "exact" if self.exact else f"certified at {self.bits} bits"
        return f"Enclosure({how}, {self.value!r})"


def evaluate(f: Callable[..., Tree], *args: Tree, bits: int = _BITS) -> Enclosure:
    """``f(*args)`` in rational arithmetic if f allows it, and otherwise in balls accurate to `bits` bits.

    Rational numbers that grow beyond 2^20 bits, as those of fifty steps of Newton's method do, are balls as well.

    Parameters
    ----------
    f : callable
        Takes exact arrays and returns one, or a tree of them.
    *args : trees
        Floats and arrays of floats are taken at their exact values. Ints, strings and callables are passed on as they
        are; arrays of integers and masks, which are labels and indices, too, but what their arithmetic gives turns into
        exact numbers where NumPy's would wrap round. Arrays that f captures or makes itself are NumPy's own: what it
        computes with them alone, integers that wrap round or floats that are rounded before ints are made of them,
        cannot be seen here. An array of floats that meets an exact number is an error.
    bits : int
        The relative accuracy asked of the balls, in the largest norm of each array of the result. An array known to
        within 2^-8192, which is far below every float, is accurate whatever its numbers.

    Raises
    ------
    Inconclusive
        If a working precision of 4096 bits does not give that accuracy: 128 bits are tried first, then twice as many.
    OutsideDomain
        If the result is no number at any precision and a function or a division on the way has certainly no value.
    Kink
        If f takes a derivative where there is none.
    InvalidInput
        If f returns floats: they are no truth. It went through math, astype or another library, or divided integers.
    MissingExtra
        If f leaves the rationals and python-flint is not installed.

    Examples
    --------
    >>> from refgrad import exact, grad
    >>> exact.evaluate(grad(lambda x: x[0] ** 3 / x[1]), np.array([0.5, 3.0]))
    Enclosure(exact, ExactArray([1/4, -1/72]))
    >>> truth = exact.evaluate(grad(lambda x: np.sum(np.exp(x))), np.array([0.0, 1.0]))
    >>> truth.bits, float(truth.high[1] - truth.low[1]) < 2.0**-70
    (128, True)
    """
    if not isinstance(bits, int) or isinstance(bits, bool) or not 1 <= bits < _LIMIT:
        raise InvalidInput(f"evaluate: expected bits, an int from 1 to {_LIMIT - 1}, got {bits!r}")
    given = as_arguments(args)
    try:
        with size_limit(_LONGEST):
            found = _enclosure(f(*given), None)
        if found.exact:
            return found
    except Kink:
        raise
    except ZeroDivisionError as error:
        if "ball" not in TABLES:
            said = re.sub(r"Fraction\((.+), (.+)\)", r"there is no \1 / \2", str(error))
            raise OutsideDomain(f"evaluate: the result does not exist, for {said}") from error
    except (NotRational, Undecided):
        pass
    from refgrad.backend.exact.balls import BALLS

    def in_balls() -> Tree:
        return f(*tree.map(lambda x: balls(x) if isinstance(x, ExactArray) else x, given))

    working = _START
    while working <= _LIMIT:
        with precision(working):
            try:
                found = _enclosure(in_balls(), working)
                if all(BALLS.accurate(leaf.data.flat, bits) for leaf in tree.flatten(found.value)[0] if _is_ball(leaf)):
                    return found
                known = True
            except Kink:
                raise
            except ZeroDivisionError as error:
                raise OutsideDomain(f"evaluate: {error}") from error
            except Undecided:
                known = False
        working *= 2
    if not known:
        reason = ""
        with precision(_LIMIT), BALLS.diagnosis() as outside, suppress(RefgradError, ArithmeticError):
            _enclosure(in_balls(), _LIMIT)
            reason = "".join(outside[:1])
        if reason:
            raise OutsideDomain(f"evaluate: the result does not exist, for there is no {reason}")
    raise Inconclusive(
        f"the result is not known to {bits} bits at a working precision of {_LIMIT} bits: it may be exactly zero, "
        "a branch may turn on numbers that are equal, or balls were given, whose width no precision removes"
    )


def as_arguments(x: Tree) -> Tree:
    """A tree of arguments as a function gets them: numbers exact, masks, labels and what is no array as they are."""
    return tree.map(_convert_argument, x)


def _convert_argument(leaf: Any) -> Any:
    """An argument as f gets it: numbers exact, masks, labels and what is no array as they are."""
    if isinstance(leaf, Integers):
        return leaf
    if isinstance(leaf, np.ndarray):
        if leaf.dtype.kind in "iub" and type(leaf) is np.ndarray:
            return leaf.copy().view(Integers)
        return asarray(leaf) if leaf.dtype.kind in "fO" or type(leaf) is not np.ndarray else leaf
    if isinstance(leaf, np.integer):
        return int(leaf)
    if isinstance(leaf, (float, Fraction, np.floating)):
        return asarray(leaf)
    if hasattr(leaf, "__dlpack__") and not isinstance(leaf, (ElementArray, np.generic)):
        library = type(leaf).__module__.partition(".")[0]
        convert = "x.get()" if library == "cupy" else "numpy.asarray(x)"
        raise InvalidInput(
            f"expected NumPy arrays, numbers or exact arrays, got {library}.{type(leaf).__name__}: "
            f"write {convert} first"
        )
    return leaf


def _enclosure(value: Tree, bits: int | None) -> Enclosure:
    """What f returned, with its bounds; of an evaluation on rationals, balls make an inexact one."""
    leaves, structure = tree.flatten(value)
    pairs = [bounds(_truth(leaf)) for leaf in leaves]
    if bits is None and any(map(_is_ball, leaves)):
        bits = 0
    return Enclosure(
        value, structure.unflatten([p[0] for p in pairs]), structure.unflatten([p[1] for p in pairs]), bits
    )


def _truth(leaf: Any) -> Any:
    """`leaf`, if its numbers are exact or enclosed."""
    exact_kind = isinstance(leaf, (ElementArray, int, Fraction, np.integer, np.bool_))
    if exact_kind or (isinstance(leaf, np.ndarray) and leaf.dtype.kind in "iub"):
        return leaf
    given = f"an array of {leaf.dtype}" if hasattr(leaf, "dtype") else repr(leaf)
    raise InvalidInput(
        f"evaluate: expected f to return exact arrays, got {given}, which was rounded on the way. Use operators, "
        "NumPy's or refgrad.numpy's functions, not math, astype or another library; give whole numbers that are data "
        "as floats or as refgrad.exact.asarray(x), for quotients of Python ints are floats."
    )


def _is_ball(leaf: Any) -> bool:
    return isinstance(leaf, ElementArray) and leaf.dtype == "ball"
