"""How far floats are from the truth, and how far they may be."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import accuracy, tree
from refgrad.accuracy import UNIT_ROUNDOFF
from refgrad.backend.exact.array import ElementArray
from refgrad.backend.exact.rationals import ExactArray
from refgrad.errors import InvalidInput, OutsideDomain, ShapeError
from refgrad.exact.arrays import asarray, bounds, to_fractions
from refgrad.exact.enclosure import Enclosure, as_arguments, evaluate
from refgrad.typing import Tree

__all__ = ["attainable", "distance", "error"]


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
    """Bounds of ``max_i |y_i - f_i|`` over all f with ``low <= f <= high``.

    Parameters
    ----------
    y, low, high : arrays of Fractions, of one shape
        Where `low` and `high` have infinities, the second bound may be one.
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
    given = as_arguments(x if type(x) is tuple else (x,))
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
