"""Whether the derivatives of a function are right, on the strongest numbers that it runs on.

One number, such as ``<u, J v>``, is computed in every way the engine has; `agreement` says on what and when
they agree.

That all ways agree does not make them right: rules can be wrong alike. The mean value theorem decides that without a
rule and without a tolerance: ``(phi(h) - phi(0)) / h`` for ``phi(t) = <u, f(x + t v)>`` is a value of the derivative of
phi between 0 and h, so it lies in the enclosure of the derivative over that whole segment, or the derivative is wrong.
The same holds for the gradient and its derivative ``H v``.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refgrad.autodiff.agreement import (
    Evaluation,
    Interval,
    Leaves,
    OnLeaves,
    meet,
    on_balls,
    on_floats,
    on_rationals,
    on_segment,
    terms,
    total,
)
from refgrad.autodiff.arguments import is_real, name_of
from refgrad.autodiff.core import primal, watching
from refgrad.autodiff.forward import jvp
from refgrad.autodiff.moment import snapshot
from refgrad.autodiff.reverse import grad, vjp
from refgrad.backend import of, shape_of
from refgrad.errors import InvalidInput, NoDerivative, NotFinite, NotRational, Undecided, WrongDerivative
from refgrad.tree import flatten, paths
from refgrad.typing import Tree

__all__ = ["Comparison", "DerivativeReport", "check_derivatives", "compare_modes"]

_ENTRIES = (-3, -2, -1, 1, 2, 3)


@dataclass(frozen=True)
class Comparison:
    """One number computed in several ways that agree.

    Attributes
    ----------
    what : str
        The number and the ways.
    numbers : str
        ``"rational"``: the ways are equal. ``"ball"``: certified enclosures overlap. ``"float"``: they differ by less
        than the bound for rounding.
    worst : float
        The worst of all directions: 0 on rationals; on balls the width of the enclosures, relative to the number if it
        is not 0; on floats the difference as a fraction of the bound.
    """

    what: str
    numbers: str
    worst: float

    def __str__(self) -> str:
        if self.numbers == "rational":
            return f"{self.what}: equal, on rational numbers"
        if self.numbers == "ball":
            return f"{self.what}: certified to {self.worst:.0e}"
        return f"{self.what}: within {self.worst:.1e} of the bound for rounding"


@dataclass(frozen=True)
class DerivativeReport:
    """What `check_derivatives` has compared, and what it could not.

    Attributes
    ----------
    name : str
        The function.
    compared : tuple of Comparison
    unchecked : tuple of str
        What was not compared, and why.
    directions : int
        The number of random integer directions of each comparison.
    """

    name: str
    compared: tuple[Comparison, ...]
    unchecked: tuple[str, ...]
    directions: int

    def __str__(self) -> str:
        found = f" agree in {self.directions} directions" if self.compared else ": nothing could be compared"
        lines = [f"derivatives of {self.name}{found}", *map(str, self.compared)]
        return "\n  ".join([*lines, *(f"not checked: {reason}" for reason in self.unchecked)])


def check_derivatives(f: Callable[..., Tree], *args: Tree, directions: int = 2, seed: int = 0) -> DerivativeReport:
    """Compare the derivatives of f at a point in every way the engine has, and with f itself.

    First order: forward and reverse mode are transposes, ``<u, J v> = <J^T u, v>``. Second order, for ``<u, f>``: the
    four compositions of the two modes give one ``<w, H v>``, and it is ``<v, H w>``. Both orders: the derivative
    contains the quotient of f, or of the gradient, over a short segment (the mean value theorem). u, v, w are random
    vectors of integers from -3 to 3 without 0.

    Parameters
    ----------
    f : callable
        Returns an array or a tree of them. Parts of the result that are not real numbers are left alone.
    *args : trees
        The point. Arrays of floats and floats are differentiated by and taken at their exact values; integers, labels
        and masks are passed on as they are.
    directions : int
        How many triples u, v, w.
    seed : int
        Which ones.

    Returns
    -------
    DerivativeReport
        What was compared, on which numbers, and what could not be.

    Raises
    ------
    WrongDerivative
        If two ways disagree; the message gives both numbers, the directions, and the arguments that are to blame. Also
        if f has another value on floats when it is traced: it asks for a type, or changes an array by two names.
    InvalidInput
        If f gives other floats each time.
    NoDerivative
        If no argument is of real numbers.
    NotFinite
        If a derivative is infinite or NaN at this point, on floats.

    Examples
    --------
    >>> import numpy as np
    >>> from refgrad import check_derivatives
    >>> report = check_derivatives(lambda x: np.sum(x**3) / x[0], np.array([0.5, 2.0]))
    >>> print(report)  # doctest: +ELLIPSIS
    derivatives of <lambda> agree in 2 directions
      <u, J v> by forward and reverse mode: equal, on rational numbers
      <w, H v> by four compositions, and <v, H w>: equal, on rational numbers
      J v and the function itself: certified to ...
      H v and the gradient: certified to ...
    >>> report.unchecked
    ()
    """
    point = _Point(f, args)
    if not isinstance(directions, int) or isinstance(directions, bool) or directions < 1:
        raise InvalidInput(f"check_derivatives: expected directions, an int of at least 1; got {directions!r}")
    token = watching.set(None)  # the comparisons are no operations of the user's
    try:
        return _report(point, directions, seed)
    finally:
        watching.reset(token)


def compare_modes(f: Callable[..., Tree], args: Sequence[Any], name: str) -> None:
    """Raise `WrongDerivative` if the two modes disagree on f; nothing is said where f runs on no exact numbers."""
    token = watching.set(None)
    try:
        _on_exact(_Point(f, tuple(args), name), _FIRST, _modes, 1, 0)
    except NoDerivative:
        return
    finally:
        watching.reset(token)


def _report(point: _Point, directions: int, seed: int) -> DerivativeReport:
    if not any(of(x).exact for x in point.xs):
        with contextlib.suppress(NotFinite):  # of the derivatives, which are what must be finite
            _compare(point, _VALUES, on_floats(point, point.xs, point.name, _values), 1, seed)
    compared: list[Comparison] = []
    unchecked: dict[str, list[str]] = {}
    for what, ways in ((_FIRST, _modes), (_SECOND, _compositions)):
        comparison, reason = _on_exact(point, what, ways, directions, seed)
        if comparison is None:
            unchecked.setdefault(reason, []).append(f"{what} on exact numbers")
            if any(of(x).exact for x in point.xs):
                continue
            worst = _compare(point, what, on_floats(point, point.xs, point.name, ways), directions, seed)
            comparison = Comparison(what, "float", worst)
        compared.append(comparison)
    for what, truth in (("J v and the function itself", _slope), ("H v and the gradient", _curvature)):
        comparison, reason = _on_segment(point, what, truth, directions, seed)
        if comparison is None:
            unchecked.setdefault(reason, []).append(what)
        else:
            compared.append(comparison)
    reasons = tuple(f"{'; '.join(whats)} ({reason})" for reason, whats in unchecked.items())
    return DerivativeReport(point.name, tuple(compared), reasons, directions)


class _Point:
    """f as a function of the leaves that it is differentiated by, to its results that are real; and those leaves."""

    def __init__(self, f: Callable[..., Tree], args: tuple[Any, ...], name: str | None = None) -> None:
        self.f, self.name = f, name_of(f) if name is None else name
        self.leaves, self.structure = flatten(args)
        self.places = [i for i, leaf in enumerate(self.leaves) if is_real(primal(leaf))]
        self.labels = [f"argument {path}" for i, path in enumerate(paths(args)) if i in self.places]
        self.xs = [self.leaves[i] for i in self.places]
        if not self.xs:
            raise NoDerivative(f"{self.name}: expected an argument of real floating-point or exact numbers, got none")

    def __call__(self, *xs: Any) -> Leaves:
        leaves = list(self.leaves)
        for i, x in zip(self.places, xs, strict=True):
            leaves[i] = snapshot(x)  # f may change it
        return [y for y in flatten(self.f(*self.structure.unflatten(leaves)))[0] if is_real(primal(y))]

    def results(self) -> Leaves:
        """What f gives at the leaves, for the shapes; at balls, if it gives nothing at rational numbers."""
        from refgrad import exact  # on demand: it brings python-flint

        try:
            return self(*self.xs)
        except NotRational:
            return self(*(exact.balls(x) for x in self.xs))


# Numbers computed in several ways. A way is the list of arrays of terms whose sum is the number.


def _values(f: OnLeaves, xs: Leaves, us: Leaves, vs: Leaves, ws: Leaves) -> dict[str, Leaves]:
    found = {
        "on plain arrays": f(*xs),
        "in forward mode": jvp(f, tuple(xs), tuple(vs))[0],
        "in reverse mode": vjp(f, *xs)[0],
    }
    return {way: terms(us, ys) for way, ys in found.items()}


def _modes(f: OnLeaves, xs: Leaves, us: Leaves, vs: Leaves, ws: Leaves) -> dict[str, Leaves]:
    tangents = jvp(f, tuple(xs), tuple(vs))[1]
    cotangents = vjp(f, *xs)[1](us)
    return {"forward mode": terms(us, tangents), "reverse mode": terms(cotangents, vs)}


def _compositions(f: OnLeaves, xs: Leaves, us: Leaves, vs: Leaves, ws: Leaves) -> dict[str, Leaves]:
    def phi(*xs: Any) -> Any:
        return total(terms(us, f(*xs)))

    def along(*xs: Any) -> Any:
        return jvp(phi, xs, tuple(vs))[1]

    every = tuple(range(len(xs)))
    gradient, point = grad(phi, every), tuple(xs)
    return {
        "forward over forward": [jvp(along, point, tuple(ws))[1]],
        "forward over reverse": terms(jvp(gradient, point, tuple(vs))[1], ws),
        "reverse over forward": terms(grad(along, every)(*xs), ws),
        "reverse over reverse": terms(grad(lambda *xs: total(terms(gradient(*xs), vs)), every)(*xs), ws),
        "<v, H w>": terms(jvp(gradient, point, tuple(ws))[1], vs),
    }


def _slope(f: OnLeaves, us: Leaves, vs: Leaves, ws: Leaves) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def phi(*xs: Any) -> Any:
        return total(terms(us, f(*xs)))

    return phi, lambda *xs: total(terms(us, jvp(f, xs, tuple(vs))[1]))


def _curvature(f: OnLeaves, us: Leaves, vs: Leaves, ws: Leaves) -> tuple[Callable[..., Any], Callable[..., Any]]:
    gradient = grad(lambda *xs: total(terms(us, f(*xs))), tuple(range(len(vs))))
    return lambda *xs: total(terms(gradient(*xs), ws)), lambda *xs: total(terms(jvp(gradient, xs, tuple(vs))[1], ws))


_TRIANGLE = (
    "A function that reads one triangle of a matrix, such as numpy.linalg.eigvalsh or cholesky, has the "
    "derivative along the symmetric part of a direction (refgrad.autodiff.conventions): if yours is one, check it at "
    "(a + a.T) / 2."
)
_VALUES = "the values of the function itself, plain and traced,"
_FIRST = "<u, J v> by forward and reverse mode"
_SECOND = "<w, H v> by four compositions, and <v, H w>"


def _on_exact(
    point: _Point, what: str, ways: Callable[..., Any], directions: int, seed: int
) -> tuple[Comparison | None, str]:
    numbers = "rational"
    try:
        try:
            worst = _compare(point, what, on_rationals(point, point.xs, ways), directions, seed)
        except (NotRational, Undecided):
            numbers = "ball"
            worst = _compare(point, what, on_balls(point, point.xs, ways), directions, seed)
    except WrongDerivative:
        raise
    except Exception as error:  # f or a rule may do anything to numbers that it was not written for
        return None, _message(error)
    return Comparison(what, numbers, worst), ""


def _on_segment(
    point: _Point, what: str, truth: Callable[..., Any], directions: int, seed: int
) -> tuple[Comparison | None, str]:
    try:
        worst = _compare(point, what, on_segment(point, point.xs, truth), directions, seed)
    except WrongDerivative as error:
        if any(len(shape_of(x)) > 1 and shape_of(x)[-1] == shape_of(x)[-2] > 1 for x in point.xs):
            raise WrongDerivative(f"{error} {_TRIANGLE}") from None
        raise
    except Exception as error:
        return None, _message(error)
    return Comparison(what, "ball", worst), ""


def _message(error: Exception) -> str:
    said = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {said if len(said) <= 100 else said[:97] + '...'}"


def _compare(point: _Point, what: str, evaluation: Evaluation, directions: int, seed: int) -> float:
    """The worst figure over all directions; raises at the first disagreement."""
    largest = 0.0
    for k in range(directions):
        us, vs, ws = _directions(point, f"{seed}/{k}")
        intervals, worst = evaluation(us, vs, ws)
        if not meet(intervals):
            raise _disagreement(point, what, evaluation, intervals, us, vs, ws)
        largest = max(largest, worst)
    return largest


def _disagreement(
    point: _Point, what: str, evaluation: Evaluation, found: dict[str, Interval], us: Leaves, vs: Leaves, ws: Leaves
) -> WrongDerivative:
    guilty = []
    for i, label in enumerate(point.labels):
        only = [v if i == j else 0 * v for j, v in enumerate(vs)]
        if not meet(evaluation(us, only, ws)[0]):
            guilty.append(label)
    shown = ", ".join(f"{way} {_number_text(interval)}" for way, interval in found.items())
    vectors = "; ".join(f"{name} = {_vectors_text(vectors)}" for name, vectors in (("u", us), ("v", vs), ("w", ws)))
    blamed = f", by {' and '.join(guilty)}" if guilty else ""
    return WrongDerivative(f"{point.name}: {what} disagree{blamed}: {shown}. Directions: {vectors}.")


def _number_text(interval: Interval) -> str:
    low, high = interval
    return str(low) if low == high and len(str(low)) < 40 else repr(float((low + high) / 2))


def _vectors_text(vectors: Leaves) -> str:
    return ", ".join(np.array2string(v, threshold=8, separator=", ").replace("\n", "") for v in vectors)


def _directions(point: _Point, seed: str) -> tuple[Leaves, Leaves, Leaves]:
    source = random.Random(seed)

    def like(x: Any) -> np.ndarray:
        shape = shape_of(x)
        return np.array([source.choice(_ENTRIES) for _ in range(math.prod(shape))], int).reshape(shape)

    return [like(y) for y in point.results()], [like(x) for x in point.xs], [like(x) for x in point.xs]
