"""Rational numbers: python-flint's ``fmpq`` where it is installed, else ``fractions.Fraction``.

Both give the same results; ``fmpq`` is about ten times faster and refuses floats by itself.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.field import Field
from refgrad.backend.exact.names import ExactNamespace
from refgrad.errors import InvalidInput, MissingExtra, NotRational

__all__ = ["RATIONAL", "ExactArray", "as_fraction", "size_limit"]

flint: Any
try:
    import flint
except ImportError:
    flint = None


def as_fraction(value: Any) -> Fraction:
    """The Fraction equal to an int, Fraction, float, numeric string or rational element."""
    if isinstance(value, (int, np.integer, np.bool_)):
        return Fraction(int(value))
    if isinstance(value, Fraction):
        return value
    if isinstance(value, (float, np.floating)):
        if not np.isfinite(value):
            raise InvalidInput(f"expected finite numbers, got {value!r}, which is no rational number")
        return Fraction(*value.as_integer_ratio())
    if isinstance(value, Decimal) and value.is_finite():
        value = str(value)
    if isinstance(value, str):
        try:
            if re.search(r"[eE][+-]?0*[1-9][\d_]{6,}\s*$", value):
                raise ValueError
            return Fraction(value)
        except (ValueError, ZeroDivisionError):
            raise InvalidInput(
                f"expected a string such as '1/3' or '0.1', got {value!r}; exponents go up to 999999"
            ) from None
    if isinstance(value, ExactArray) and value.size == 1:
        return RATIONALS.fraction(value.data.item())
    if hasattr(value, "numerator") and hasattr(value, "denominator"):
        return Fraction(int(value.numerator), int(value.denominator))
    raise TypeError(f"expected an int, a Fraction, a Decimal, a float or a string such as '1/3'; got {value!r}")


_turn = itertools.count()
_limit: ContextVar[int | None] = ContextVar("refgrad.exact.limit", default=None)


@contextmanager
def size_limit(bits: int) -> Iterator[None]:
    """Refuse, inside the ``with`` block, results with numerators or denominators of more than `bits` bits.

    Of every array one element is looked at, another one each time: what grows without end is found.
    """
    token = _limit.set(bits)
    try:
        yield
    finally:
        _limit.reset(token)


class Rationals(Field):
    """The field of rational numbers over one element type.

    Parameters
    ----------
    make : type
        Makes an element from numerator and denominator.
    matrix : type, optional
        python-flint's matrices over it.
    """

    name = "rational"

    def __init__(self, make: Callable[[int, int], Any], matrix: Any = None) -> None:
        self.make, self.matrix = make, matrix
        self.zero, self.one = make(0, 1), make(1, 1)
        self.type = type(self.zero)

    def element(self, value: Any) -> Any:
        if isinstance(value, self.type):
            return value
        if type(value) is int:
            return self.make(value, 1)
        q = as_fraction(value)
        return self.make(q.numerator, q.denominator)

    def fraction(self, element: Any) -> Fraction:
        return Fraction(int(element.numerator), int(element.denominator))

    def power(self, x: np.ndarray, n: int) -> np.ndarray:
        if n > 1000:  # else it is no larger than what the same number of products would make of it
            size = max((int(part).bit_length() for e in x.flat for part in (e.numerator, e.denominator)), default=0)
            if n * (size - 1) > 2**25:
                raise NotRational(
                    f"x ** {n} of rational numbers of {size} bits would have more than 2^25; refgrad.exact.balls(x) "
                    "gives a certified enclosure."
                )
        return super().power(x, n)

    def apply(self, name: str, element: Any, *others: Any) -> Any:
        raise NotRational(
            f"{name} of a rational number is not rational; refgrad.exact.balls(x) gives a certified enclosure."
        )

    def root(self, element: Any) -> Any:
        parts = int(element.numerator), int(element.denominator)
        roots = [math.isqrt(part) for part in parts]
        if any(root * root != part for root, part in zip(roots, parts, strict=True)):
            raise NotRational(
                f"the square root of {element} is not rational; refgrad.exact.balls(x) gives a certified enclosure."
            )
        return self.make(*roots)

    def eigenvalues(self, a: np.ndarray) -> list[Any]:
        if self.matrix is None:
            raise MissingExtra(
                "eigenvalues of rational matrices need python-flint, which the extra exact brings: pip install "
                "'refgrad[exact]'"
            )
        roots = self.matrix(a.tolist()).charpoly().roots() if a.size else []
        values = self.sort([root for root, multiplicity in roots for _ in range(multiplicity)])
        if len(values) < len(a):
            raise NotRational(
                "eigenvalues: those of this matrix are not all rational; refgrad.exact.balls(a) gives certified "
                "enclosures."
            )
        return values

    def compare(self, symbol: str, a: Any, b: Any) -> bool:
        return bool(a < b if symbol == "<" else a <= b if symbol == "<=" else a == b)


class ExactArray(ElementArray):
    """An array of rational numbers. Made by `refgrad.exact.asarray`.

    Arithmetic with ints and Fractions stays exact; with a float it raises `NotRational`. An array of shape ()
    has a `numerator` and a `denominator` and equals the int or Fraction of the same value.
    """

    __slots__ = ()

    def _binary(self, other: Any, op: Callable[[Any, Any], Any], swap: bool = False) -> Any:
        y = super()._binary(other, op, swap)
        limit = _limit.get()
        if limit is not None and y is not NotImplemented and y.size:
            element = y.data.flat[next(_turn) % y.size]
            size = max(int(element.numerator).bit_length(), int(element.denominator).bit_length())
            if size > limit:
                raise NotRational(f"a rational number of {size} bits; refgrad.exact.balls(x) gives enclosures")
        return y

    @property
    def numerator(self) -> int:
        return int(self._only().numerator)

    @property
    def denominator(self) -> int:
        return int(self._only().denominator)


RATIONALS = Rationals(Fraction) if flint is None else Rationals(flint.fmpq, flint.fmpq_mat)
ExactArray.field = RATIONALS
RATIONAL = ExactNamespace(ExactArray)
