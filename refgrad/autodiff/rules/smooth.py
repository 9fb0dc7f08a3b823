"""Further smooth functions of one or two numbers.

Logarithms and powers of 2 and 10, the cube root, trigonometric and hyperbolic functions and their inverses; the polar
angle, length and log-sum of two numbers. Derivatives are written so that they are accurate where the function is:
``(1 - x) (1 + x)`` and not ``1 - x^2``, of which near 1 only the rounding error is left; a hypotenuse and not a square
root of a sum of squares, which overflows. At the ends of their domains the derivatives are infinite, as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refgrad.autodiff.core import Primitive, primal
from refgrad.autodiff.domains import Case, beyond, case, inside, nonzero, positive, real
from refgrad.autodiff.primitive import elementwise, number_like
from refgrad.autodiff.rules.elementwise import isfinite, log, logistic, sqrt, where
from refgrad.autodiff.rules.norm import divide
from refgrad.backend import of
from refgrad.typing import Array

__all__ = [
    "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "cbrt", "cosh", "cosine", "deg2rad",
    "exp2", "hypot", "log2", "log10", "logaddexp", "logaddexp2", "one_minus_square", "pi_like", "rad2deg", "sinh",
    "tan",
]  # fmt: skip

_REAL = (case(real(2, 3)), case(real()))
_POSITIVE = (case(positive(2, 3)),)
_INSIDE = (case(inside(2, 3)), case(inside()))
_PAIRS = (case(nonzero(2, 3), nonzero(2, 3)), case(nonzero(2, 1), nonzero(3)), case(nonzero(), nonzero(2)))


def pi_like(x: Array) -> Array:
    """The number pi, in the dtype of `x`, or enclosed if that is a ball."""
    return 4 * arctan(number_like(x, 1))


def _of_one(
    name: str, d: Callable[..., Array], cases: Sequence[Case], kink: Callable[..., Array] | None = None
) -> Primitive:
    source = f"np.{name}({{0}})"
    return elementwise(name, lambda xp, x: getattr(xp, name)(x), d=[d], source=source, cases=cases, kink=kink)


def _of_two(
    name: str, d: Sequence[Callable[..., Array]], cases: Sequence[Case], kink: Callable[..., Array] | None = None
) -> Primitive:
    source = f"np.{name}({{0}}, {{1}})"
    return elementwise(name, lambda xp, a, b: getattr(xp, name)(a, b), d=d, source=source, cases=cases, kink=kink)


def _log_of(n: int, x: Array) -> Array:
    return log(number_like(x, n))


exp2: Primitive = _of_one("exp2", lambda t, y, x: t * (y * _log_of(2, x)), _REAL)
log2: Primitive = _of_one("log2", lambda t, y, x: t / _log_of(2, x) / x, _POSITIVE, lambda y, x: x <= 0)
log10: Primitive = _of_one("log10", lambda t, y, x: t / _log_of(10, x) / x, _POSITIVE, lambda y, x: x <= 0)
cbrt: Primitive = _of_one("cbrt", lambda t, y, x: t / (3 * (y * y)), (case(nonzero(2, 3)), case(nonzero())))

tan: Primitive = _of_one("tan", lambda t, y, x: t * (1 + y * y), _INSIDE)
one_minus_square: Primitive = elementwise(
    "one_minus_square",
    lambda x: (1 - x) * (1 + x),
    # the derivative of that formula near 0 is the difference of nearly equal numbers
    d=[lambda t, y, x: -(2 * (t * x))],
    source="(1 - {0}) * (1 + {0})",
    cases=_REAL,
    needs_table=False,
)

arcsin: Primitive = _of_one("arcsin", lambda t, y, x: t / sqrt(one_minus_square(x)), _INSIDE)
arccos: Primitive = _of_one("arccos", lambda t, y, x: -t / sqrt(one_minus_square(x)), _INSIDE)
arctan: Primitive = _of_one("arctan", lambda t, y, x: t * cosine(number_like(x, 1), x) ** 2, _REAL)

sinh: Primitive = _of_one("sinh", lambda t, y, x: t * cosh(x), _REAL)
cosh: Primitive = _of_one("cosh", lambda t, y, x: t * sinh(x), _REAL)
arcsinh: Primitive = _of_one("arcsinh", lambda t, y, x: t / hypot(x, number_like(x, 1)), _REAL)
arccosh: Primitive = _of_one(
    "arccosh",
    lambda t, y, x: t / (sqrt(x - 1) * sqrt(x + 1)),
    (case(beyond(2, 3)), case(beyond())),
    lambda y, x: x <= 1,
)
arctanh: Primitive = _of_one(
    "arctanh", lambda t, y, x: t / one_minus_square(x), _INSIDE, lambda y, x: one_minus_square(x) <= 0
)

deg2rad: Primitive = _of_one("deg2rad", lambda t, y, x: deg2rad(t), _REAL)
rad2deg: Primitive = _of_one("rad2deg", lambda t, y, x: rad2deg(t), _REAL)

hypot: Primitive = _of_two(
    "hypot",
    [lambda t, y, a, b: t * cosine(a, b), lambda t, y, a, b: t * cosine(b, a)],
    _PAIRS,
    kink=lambda y, a, b: y == 0,
)

cosine: Primitive = elementwise(
    "cosine",
    lambda xp, a, b: xp.cosine(a, b),
    d=[
        # cosine(b, a)**2 is 1 - y * y, of which nothing is left where y is nearly 1
        lambda t, y, a, b: t * (cosine(b, a) * divide(cosine(b, a), hypot(a, b))),
        lambda t, y, a, b: -(t * (y * divide(cosine(b, a), hypot(a, b)))),
    ],
    source="cosine({0}, {1})",
    cases=_PAIRS,
)

arctan2: Primitive = _of_two(
    "arctan2",
    [
        lambda t, y, a, b: divide(t * cosine(b, a), hypot(a, b)),
        lambda t, y, a, b: -divide(t * cosine(a, b), hypot(a, b)),
    ],
    _PAIRS,
)


def _share(t: Array, a: Array, b: Array, unit: Array | None = None) -> Array:
    """``t * exp(a) / (exp(a) + exp(b))``, a and b in units; of two equal infinities each has half."""
    if not of(primal(a), primal(b)).exact:  # an exact number is never infinite
        # of the arguments, one of which is often constant, not of their difference, through which all passes back
        same = ~isfinite(a) & (a == b)
        a, b = where(same, 0, a), where(same, 0, b)
    return t * logistic(a - b if unit is None else (a - b) * unit)


logaddexp: Primitive = _of_two(
    "logaddexp", [lambda t, y, a, b: _share(t, a, b), lambda t, y, a, b: _share(t, b, a)], _PAIRS
)
logaddexp2: Primitive = _of_two(
    "logaddexp2",
    [lambda t, y, a, b: _share(t, a, b, _log_of(2, y)), lambda t, y, a, b: _share(t, b, a, _log_of(2, y))],
    _PAIRS,
)
