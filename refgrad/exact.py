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

import random
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import accuracy, tree
from refgrad.accuracy import UNIT_ROUNDOFF
from refgrad.backend.exact.array import TABLES, ElementArray
from refgrad.backend.exact.integers import Integers
from refgrad.backend.exact.rationals import RATIONAL, RATIONALS, ExactArray, size_limit
from refgrad.errors import (
    Inconclusive,
    InvalidInput,
    Kink,
    MissingExtra,
    NotRational,
    OutsideDomain,
    RefgradError,
    ShapeError,
    Undecided,
)
from refgrad.typing import Array, Tree

with suppress(MissingExtra):  # so that rationals can be turned into balls wherever there are balls
    from refgrad.backend.exact import balls as _balls  # noqa: F401

__all__ = [
    "UNIT_ROUNDOFF", "Enclosure", "ExactArray", "asarray", "attainable", "balls", "bounds", "distance", "error",
    "evaluate", "precision", "to_fractions",
]  # fmt: skip

_START, _LIMIT, _BITS, _LONGEST = 128, 4096, 73, 2**20


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
    from refgrad.backend.exact.balls import BALL

    return BALL.asarray(x)


def precision(bits: int) -> AbstractContextManager[None]:
    """A ``with`` block inside which balls are computed with `bits` bits."""
    from refgrad.backend.exact.balls import precision

    return precision(bits)


def to_fractions(x: Any) -> Any:
    """The elements of `x` as `fractions.Fraction`: one for shape (), else an object array of them."""
    data = asarray(x).data
    result = np.frompyfunc(RATIONALS.fraction, 1, 1)(data)
    return result if isinstance(result, np.ndarray) and result.shape else RATIONALS.fraction(data.item())


def bounds(x: Array) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper bounds of the elements of an exact array or of balls, as object arrays of Fractions.

    Of balls beyond 2^8192 the outer bound is an infinity, a float: to write the number out would take any memory. A
    number nearer to 0 than 2^-8192 has the bounds 0 and that.
    """
    if isinstance(x, ExactArray) or not isinstance(x, ElementArray):
        values = np.asarray(to_fractions(x), object)
        return values, values
    from refgrad.backend.exact.balls import BALLS

    pairs = [BALLS.bounds(element) for element in x.data.ravel()]
    low, high = (np.array([p[i] for p in pairs] + [None], object)[:-1].reshape(x.shape) for i in (0, 1))
    return low, high


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
    given = tree.map(_convert_argument, args)
    try:
        with size_limit(_LONGEST):
            found = _enclosure(f(*given), None)
        if found.exact:
            return found
    except Kink:
        raise
    except ZeroDivisionError as error:
        if "ball" not in TABLES:
            raise OutsideDomain(f"evaluate: {error}") from error
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


def error(y: Tree, truth: Tree) -> Fraction:
    """The largest ``|y_i - f_i|`` over all elements, computed exactly.

    Parameters
    ----------
    y : tree of float arrays or numbers
        The result to be judged; each float means its exact binary value. An infinity means all numbers from the largest
        float of its dtype on, so that its error is 0 where the truth is one of them, and else what is missing to it.
    truth : Enclosure, or tree as y of exact arrays, balls, ints, Fractions
        Where it is an enclosure, the error is the largest that it allows, and so never too small. Floats are no truth;
        `asarray` says that their exact values are meant.

    Returns
    -------
    Fraction
        An absolute error. Divide by `attainable` for one in units of what the precision permits. Of a finite y it is an
        infinity where the truth is beyond 2^8192.

    Raises
    ------
    ShapeError
        If y and truth have different structures or shapes.
    InvalidInput
        If y has a NaN element, whose error is no number, or truth has floats.
    """
    values, structure = tree.flatten(y)
    if isinstance(truth, Enclosure):
        lows, its_structure = tree.flatten(truth.low)
        pairs = list(zip(lows, tree.flatten(truth.high)[0], strict=True))
    else:
        leaves, its_structure = tree.flatten(truth)
        pairs = [bounds(_not_float(leaf)) for leaf in leaves]
    if structure != its_structure:
        raise ShapeError(f"error: expected y with the structure of truth, {its_structure!r}; got {structure!r}")
    largest = Fraction(0)
    for value, (low, high) in zip(values, pairs, strict=True):
        given = value if isinstance(value, (ElementArray, np.ndarray)) else np.asarray(value)
        if given.shape != low.shape:
            raise ShapeError(f"error: expected y with the shape of truth, {low.shape}; got {given.shape}")
        if isinstance(given, np.ndarray) and given.dtype.kind == "f" and np.isinf(given).any():
            infinite, top = np.isinf(given), np.finfo(given.dtype).max
            last = to_fractions(top)
            low, high = (np.where(infinite, np.clip(bound, -last, last), bound) for bound in (low, high))
            given = np.where(infinite, np.copysign(top, given), given)
        largest = max(largest, distance(np.asarray(to_fractions(given), object), low, high)[1])
    return largest


def _not_float(leaf: Any) -> Any:
    """`leaf`, if it can be a truth."""
    values = [] if isinstance(leaf, ElementArray) else np.asarray(leaf, object).ravel().tolist()
    if any(isinstance(value, (float, complex, np.inexact)) for value in values):
        raise InvalidInput(
            "error: expected a truth of exact arrays, balls, ints or Fractions, or what evaluate returned; got floats, "
            "which are no truth. Write refgrad.exact.asarray(truth) if their exact binary values are meant."
        )
    return leaf


def distance(y: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[Fraction, Fraction]:
    """Bounds of ``max_i |y_i - f_i|`` over all f with ``low <= f <= high``; arrays of Fractions of one shape.

    Where `low` and `high` have infinities, the second may be one.
    """
    near, far = Fraction(0), Fraction(0)
    for value, below, above in zip(y.flat, low.flat, high.flat, strict=True):
        near = max(near, _minus(below, value), _minus(value, above))
        far = max(far, _minus(above, value), _minus(value, below))
    return near, far


def _minus(a: Any, b: Any) -> Any:
    """``a - b`` of Fractions of any size, one of which may be an infinity."""
    return a if isinstance(a, float) else -b if isinstance(b, float) else a - b


def attainable(
    f: Callable[..., Tree],
    x: Tree,
    dtype: Any = "float64",
    *,
    magnitude: Any = None,
    patterns: int = 6,
    seed: int = 0,
) -> Fraction:
    """The absolute error that a backward-stable method may make in evaluating f at x in `dtype`.

    The largest of several responses ``|f(x (1 + s u)) - f(x)|``, evaluated exactly, with the unit roundoff u and random
    signs s for the elements of x, plus ``u S`` and the smallest positive float: rounding the input and the output can
    cost that much, whatever the method. Sound code stays within a few times it; refgrad's own limit is 30,
    `refgrad.accuracy.LIMIT`. Numbers beyond the largest float count as that float, for an infinity meets them (see
    `error`); and an x (1 + s u) outside the domain of f is left out.

    Parameters
    ----------
    f : callable
        As for `evaluate`.
    x : tree, or a tuple of them
        The argument of f; a tuple holds several. Ints, strings and callables in it are left as they are.
    dtype : "float64" or "float32", or NumPy's names for them
    magnitude : number or callable, optional
        S, or a function of the same arguments that gives it: the sum of the absolute values of the terms that f adds
        up. The largest ``|f_i(x)|`` if not given, which is too strict where f's terms cancel and x is all zeros.
    patterns : int
        How many sign patterns.
    seed : int
        Which ones.

    Raises
    ------
    InvalidInput
        If `dtype` is neither of the two.
    Inconclusive
        If f cannot be enclosed tightly enough at x or near it.
    """
    unit = UNIT_ROUNDOFF.get(_name(dtype))
    if unit is None:
        raise InvalidInput(f"attainable: expected dtype 'float64' or 'float32', got {dtype!r}")
    if not isinstance(patterns, int) or isinstance(patterns, bool) or patterns < 1:
        raise InvalidInput(f"attainable: expected patterns, an int of at least 1, got {patterns!r}")
    given = tuple(tree.map(_convert_argument, argument) for argument in (x if type(x) is tuple else (x,)))
    last = accuracy.LARGEST[_name(dtype)]
    base = _middles(evaluate(f, *given), last)

    def near(pattern: int) -> list[Fraction]:
        signs = random.Random(f"{seed}/{pattern}")
        moved = tree.map(lambda leaf: _perturb(leaf, unit, signs) if isinstance(leaf, ExactArray) else leaf, given)
        with suppress(OutsideDomain):
            return _middles(evaluate(f, *moved), last)
        return base

    if magnitude is None:
        scale = base
    else:
        found = evaluate(magnitude, *given) if callable(magnitude) else evaluate(lambda: asarray(magnitude))
        scale = _middles(found, last)
    size = max((abs(value) for value in scale), default=Fraction(0))
    return accuracy.attainable(base, map(near, range(patterns)), unit, size, accuracy.SMALLEST[_name(dtype)])


def _name(dtype: Any) -> str:
    try:
        return repr(dtype) if dtype is None else np.dtype(dtype).name
    except TypeError:
        return repr(dtype)


def _perturb(x: ExactArray, unit: Fraction, signs: random.Random) -> ExactArray:
    relative = np.array([*(signs.choice((-1, 1)) * unit for _ in range(x.size)), None], object)[:-1]
    return x * (1 + asarray(relative.reshape(x.shape)))  # type: ignore[no-any-return]


def _middles(found: Enclosure, last: Fraction) -> list[Fraction]:
    """The midpoints of all elements of all leaves, those beyond `last` taken for it."""

    def middle(*bounds: Any) -> Fraction:
        return sum(max(-last, min(bound, last)) for bound in bounds) / 2  # type: ignore[return-value]

    pairs = zip(tree.flatten(found.low)[0], tree.flatten(found.high)[0], strict=True)
    return [middle(a, b) for low, high in pairs for a, b in zip(low.flat, high.flat, strict=True)]


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
        raise InvalidInput(
            f"expected NumPy arrays, numbers or exact arrays, got {type(leaf).__name__}: write numpy.asarray(x) first"
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
