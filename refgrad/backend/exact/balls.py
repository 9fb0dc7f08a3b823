"""Balls: real numbers enclosed in a midpoint and a radius, with rigorous rounding (python-flint's ``arb``).

Every operation returns a ball that contains the true value for every choice of numbers in its arguments. A comparison
that the balls do not settle raises `Undecided`; a maximum that they do not settle encloses both. One and the same
ball object in two places is one unknown number, equal to itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from itertools import pairwise
from threading import RLock
from typing import Any

import numpy as np

from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.field import Field, box, lift
from refgrad.backend.exact.names import ExactNamespace
from refgrad.backend.exact.rationals import RATIONAL, ExactArray, as_fraction
from refgrad.errors import InvalidInput, MissingExtra, SingularMatrix, Undecided, UndecidedSingular

try:
    from flint import acb, acb_mat, arb, arb_mat, ctx, fmpq
except ImportError as error:
    raise MissingExtra(
        "certified enclosures (balls) need python-flint, which the extra exact brings: pip install 'refgrad[exact]'"
    ) from error

__all__ = ["BALL", "BallArray", "bits", "precision"]

Bound = Fraction | float
_RANGE = 2**13
_FAR, _NEAR, _BALL_FAR = Fraction(2**_RANGE), Fraction(1, 2**_RANGE), arb((1, _RANGE))

_LOCK = RLock()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Evaluate balls with `bits` bits inside the ``with`` block.

    The precision belongs to the evaluation, not to an array, and is one setting for the whole process: a thread that
    enters such a block waits until another has left its own.
    """
    if not isinstance(bits, int) or isinstance(bits, bool) or bits < 2:
        raise InvalidInput(f"precision: expected a number of bits, an int of at least 2; got {bits!r}")
    with _LOCK, ctx.workprec(bits):
        yield


def bits() -> int:
    """The precision in force."""
    return int(ctx.prec)


def _cube_root(x: Any) -> Any:
    if x > 0:
        return x.root(3)
    if x < 0:
        return -(-x).root(3)
    return x if x.is_zero() or not x.is_finite() else _cube_root(x.lower()).union(_cube_root(x.upper()))


def _is_pole_of_gamma(x: Any) -> bool:
    return bool(x.is_integer() and x <= 0)


def _lgamma(x: Any) -> Any:
    if x > 0 or _is_pole_of_gamma(x):
        return x.lgamma()
    # log |Gamma(x)| by [dlmf]_, 5.5.3: Gamma(x) Gamma(1 - x) = pi / sin(pi x)
    return (arb.pi() / abs(x.sin_pi())).log() - (1 - x).lgamma()


def _polygamma(x: Any, n: int) -> Any:
    return arb.nan() if _is_pole_of_gamma(x) else acb(x).polygamma(n).real


def _sinc(x: Any, n: int) -> Any:
    if abs(x) > 1:  # by the recurrence in n, [dlmf]_, 10.51.1, for the series in x^2 has large terms
        before, y = x.cos(), x.sin() / x
        for m in range(n):
            before, y = y, ((2 * m + 1) * y - before) / (x * x)
        return y
    # [dlmf]_, 10.53.1: j_n(x) / x^n is a power series in x^2, over 1 3 ... (2n + 1)
    return (-x * x / 4).hypgeom_0f1(n + arb(3) / 2) / math.prod(range(1, 2 * n + 2, 2))


FUNCTIONS_OF_BALLS: dict[str, Callable[..., Any]] = {
    "arctan": arb.atan,
    "arcsin": arb.asin,
    "arccos": arb.acos,
    "arcsinh": arb.asinh,
    "arctanh": arb.atanh,
    "arctan2": arb.atan2,
    "log2": lambda x: x.log_base(2),
    "log10": lambda x: x.log_base(10),
    "exp2": lambda x: (x * arb(2).log()).exp(),
    "cbrt": _cube_root,
    "deg2rad": lambda x: x * arb.pi() / 180,
    "rad2deg": lambda x: x * 180 / arb.pi(),
    "arccosh": arb.acosh,
    "xlogy": lambda x, y: x if x.is_zero() else x * y.log(),
    "xlog1py": lambda x, y: x if x.is_zero() else x * y.log1p(),
    "lgamma": _lgamma,
    "polygamma": _polygamma,
    "sinc": _sinc,
}
"""What python-flint calls otherwise, or has not."""


OUTSIDE: dict[str, Callable[[Any], bool]] = {
    "log": lambda x: x <= 0,
    "log2": lambda x: x <= 0,
    "log10": lambda x: x <= 0,
    "log1p": lambda x: x <= -1,
    "sqrt": lambda x: x < 0,
    "arcsin": lambda x: abs(x) > 1,
    "arccos": lambda x: abs(x) > 1,
    "arccosh": lambda x: x < 1,
    "arctanh": lambda x: abs(x) >= 1,
    "lgamma": _is_pole_of_gamma,
    "polygamma": _is_pole_of_gamma,
}
"""Where a function certainly has no value, poles included."""


class Balls(Field):
    """Real balls at the precision in force.

    Attributes
    ----------
    outside : list of str or None
        Inside `diagnosis`, what was asked for where it certainly has no value.
    """

    name = "ball"
    matrix = arb_mat
    outside: list[str] | None = None

    def __init__(self) -> None:
        self.zero, self.one, self.half = arb(0), arb(1), arb(1) / 2

    @contextmanager
    def diagnosis(self) -> Iterator[list[str]]:
        """Take 1, inside the ``with`` block, for what certainly has no value, and note that; inside `precision` only.

        What is a number then, and was none without, does not exist.
        """
        self.outside = []
        try:
            yield self.outside
        finally:
            self.outside = None

    def element(self, value: Any) -> Any:
        if isinstance(value, arb):
            return value
        if isinstance(value, fmpq):
            return arb(value)
        q = as_fraction(value)
        return arb(q.numerator) / q.denominator if q.denominator != 1 else arb(q.numerator)

    def fraction(self, element: Any) -> Fraction:
        """The midpoint; 2^8192 or 2^-8192 in its place, with its sign, where it is beyond that."""
        mid = _dyadic(_finite(element).mid())
        if mid is not None:
            return mid
        size = _FAR if abs(element.mid()) > 1 else _NEAR
        return size if element.mid() > 0 else -size

    def bounds(self, element: Any) -> tuple[Bound, Bound]:
        """Rational lower and upper bounds, or infinities.

        A fraction has to write out its exponent: exp(1e9) would take 10^8 bytes. So what is beyond 2^8192 has an
        infinity for its outer bound, and what is nearer to 0 than 2^-8192 is taken to lie anywhere up to there.
        """
        mid, rad = _dyadic(_finite(element).mid()), _dyadic(element.rad())
        if mid is not None and rad is not None:
            return mid - rad, mid + rad
        low: Bound = -math.inf
        high: Bound = math.inf
        if abs(element) < _BALL_FAR:
            middle, slack = mid or Fraction(0), (rad or _NEAR / 2) + (_NEAR / 2 if mid is None else 0)
            low, high = middle - slack, middle + slack
        if element >= 0:
            low = _FAR if element >= _BALL_FAR else max(low, Fraction(0))
        if element <= 0:
            high = -_FAR if element <= -_BALL_FAR else min(high, Fraction(0))
        return low, high

    def accurate(self, elements: Iterable[Any], bits: int) -> bool:
        """Whether the widest of some balls is narrower than the largest number among them by `bits` bits.

        What is narrower than 2^-8192 is accurate anyway: the exponential of -1e300 may be 0 for all that.
        """
        elements = list(elements)
        width = max((2 * _finite(e).rad() for e in elements), default=self.zero)
        scale = max((e.abs_lower() for e in elements), default=self.zero)
        return bool(width * arb((1, bits)) <= scale or width * _BALL_FAR <= 1)

    def apply(self, name: str, element: Any, *others: Any) -> Any:
        if self.outside is not None and name in OUTSIDE and OUTSIDE[name](element):
            return self._note(f"{name} of {_text(element)}")
        return FUNCTIONS_OF_BALLS[name](element, *others) if name in FUNCTIONS_OF_BALLS else getattr(element, name)()

    def floor(self, x: Any) -> Any:
        return x.floor()

    def rint(self, x: Any) -> Any:
        y = (x + self.half).floor()
        # exactly half way; of a wider ball the floor encloses both neighbours
        half_way = x.is_exact() and x + self.half == y
        return y - 1 if half_way and (y / 2).floor() != y / 2 else y

    def root(self, element: Any) -> Any:
        return self.apply("sqrt", element)

    def real_power(self, a: Any, b: Any) -> Any:
        """``a ** b``, by products where b is certainly an integer."""
        if b.is_exact() and b.is_integer() and abs(b) < 2**62:
            n = int(b.unique_fmpz())
            y = self.power(box(a), abs(n))
            return y if n >= 0 else self.quotient(self.one, y)
        if a.is_zero() and b > 0:
            return self.zero
        if self.outside is not None and a <= 0:
            return self._note(f"({_text(a)}) ** {_text(b)}")
        return (a.log() * b).exp()

    def quotient(self, a: Any, b: Any) -> Any:
        """``a / b``."""
        if self.outside is not None and b.is_zero():
            return self._note(f"{_text(a)} / 0")
        return a / b

    def _note(self, what: str) -> Any:
        self.outside.append(what)  # type: ignore[union-attr]
        return self.one

    def eigenvalues(self, a: np.ndarray) -> list[Any]:
        if not a.size:
            return []
        try:
            found = acb_mat(arb_mat(a.tolist())).eig(multiple=True)
        except ValueError:
            raise Undecided(f"the eigenvalues of a matrix cannot be enclosed at {ctx.prec} bits") from None
        return self.sort([value.real for value in found])  # of a symmetric matrix they are real

    def compare(self, symbol: str, a: Any, b: Any) -> bool:
        if a is b and a.is_finite():  # one and the same unknown number
            return symbol != "<"
        if symbol == "==":
            if a.is_exact() and b.is_exact():
                return bool(a == b)
            yes, no = False, not a.overlaps(b)
        else:
            yes, no = (a < b, b <= a) if symbol == "<" else (a <= b, b < a)
        if not (yes or no):
            raise Undecided(f"{a.str(10)} {symbol} {b.str(10)} cannot be decided at {ctx.prec} bits: the balls overlap")
        return bool(yes)

    def maximum(self, a: Any, b: Any) -> Any:
        # a settled maximum is one of the two themselves, so that comparing with it finds it again
        if b <= a:
            return a
        return b if a <= b else self.sort([a, b])[1]

    def power(self, x: np.ndarray, n: int) -> np.ndarray:
        # python-flint's ** gives NaN for a ball that contains 0, whatever the exponent
        y = np.full(x.shape, self.one, object)
        for bit in bin(n)[2:]:
            y = y * y * x if bit == "1" else y * y
        return y

    def sort(self, row: list[Any]) -> list[Any]:
        """Enclosures of the sorted numbers: the balls themselves where their order is certain.

        Of n numbers, the k-th smallest lies between the k-th smallest lower bound and the k-th smallest upper bound.
        """
        guess = sorted(row, key=lambda e: _finite(e).mid())
        if all(a <= b for a, b in pairwise(guess)):
            return guess
        lows, highs = (sorted(getattr(e, side)() for e in row) for side in ("lower", "upper"))
        return [low.union(high) for low, high in zip(lows, highs, strict=True)]

    def singular(self, order: int) -> SingularMatrix:
        return UndecidedSingular(
            f"solve: the matrix of order {order} is singular, or cannot be told from one at {ctx.prec} bits"
        )


class BallArray(ElementArray):
    """An array of certified enclosures."""

    __slots__ = ()

    def __reduce__(self) -> Any:  # python-flint's balls cannot be pickled or copied themselves
        parts = [(_parts(e.mid()), _parts(e.rad())) if e.is_finite() else None for e in self.data.ravel()]
        return _restore, (parts, self.shape)

    def __rpow__(self, base: Any) -> Any:
        return self._binary(base, partial(lift, BALLS.real_power), True)

    def __pow__(self, exponent: Any) -> Any:
        if isinstance(exponent, ElementArray):
            return self._binary(exponent, partial(lift, BALLS.real_power))
        return super().__pow__(exponent)

    def _binary(self, other: Any, op: Callable[[Any, Any], Any], swap: bool = False) -> Any:
        if BALLS.outside is not None and op is np.true_divide:
            op = partial(lift, BALLS.quotient)
        return super()._binary(other, op, swap)

    @classmethod
    def _coerce(cls, other: Any) -> np.ndarray | None:
        return super()._coerce(BALL.asarray(other) if isinstance(other, ExactArray) else other)


def _parts(ball: Any) -> tuple[int, int]:
    mantissa, exponent = ball.man_exp()
    return int(mantissa), int(exponent)


def _restore(parts: list[Any], shape: tuple[int, ...]) -> BallArray:
    bits = max((abs(part[0][0]).bit_length() for part in parts if part), default=2)
    with ctx.workprec(max(2, bits)):  # the midpoint is not rounded, the radius at most up
        balls = [arb(arb(part[0]), arb(part[1])) if part else arb("nan") for part in parts]
    return BallArray(np.array([*balls, None], object)[:-1].reshape(shape))


def _finite(ball: Any) -> Any:
    if not ball.is_finite():
        raise Undecided("a ball is unbounded at this precision (a division by a ball that contains 0, perhaps)")
    return ball


def _text(ball: Any) -> str:
    digits = str(ball.str(10, radius=False))
    return digits.rstrip("0").rstrip(".") if "." in digits and "e" not in digits else digits


def _dyadic(ball: Any) -> Fraction | None:
    """The number that an exact ball is; None where it is beyond 2^8192, or nearer to 0 than 2^-8192."""
    mantissa, exponent = _parts(ball)
    if mantissa and abs(mantissa.bit_length() + exponent) > _RANGE:
        return None
    return Fraction(mantissa << exponent) if exponent >= 0 else Fraction(mantissa, 1 << -exponent)


class BallBackend(ExactNamespace):
    """The functions of balls. Rationals are enclosed as they come in."""

    def isfinite(self, x: Any) -> Any:  # type: ignore[override]
        return lift(lambda e: bool(e.is_finite()), self._data(x)).astype(bool)

    def isnan(self, x: Any) -> Any:
        return lift(lambda e: bool(e.is_nan()), self._data(x)).astype(bool)

    def logaddexp(self, a: Any, b: Any) -> Any:
        # true whichever is larger; with the larger one before the logarithm no digits of a small sum are lost
        a, b = self.asarray(a), self.asarray(b)
        first = lift(lambda a, b: bool(a.mid() > b.mid()), a.data, b.data).astype(bool)
        return self.where(first, a, b) + self.log1p(self.exp(self.where(first, b - a, a - b)))

    def logsumexp(self, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        # any shift is right; the middle of the maximum has no radius to add to the result's
        shift = self.array(lift(lambda e: e.mid(), self.amax(x, axis, True).data))
        y = self.log(self.sum(self.exp(self.asarray(x) - shift), axis, True)) + shift
        return y if keepdims else self.squeeze(y, axis)


BALLS = Balls()
BallArray.field = BALLS
BALL = BallBackend(BallArray)
BALL.absorbs = (RATIONAL,)
