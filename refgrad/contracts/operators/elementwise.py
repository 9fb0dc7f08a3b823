"""Operators that act on each element: ``D f(x)[u] = f'(x) u`` and ``D^2 f(x)[u, v] = f''(x) u v``.

tanh     y = tanh x     f' = 1 - y^2       f'' = -2 y (1 - y^2)
exp      y = e^x        f' = y             f'' = y
log                     f' = 1/x           f'' = -1/x^2
sqrt     y = x^(1/2)    f' = 1/(2 y)       f'' = -1/(4 y^3)
ldexp    x 2^e, which is linear in x
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from refgrad import exact
from refgrad.backend import of
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import Answer, Variant
from refgrad.contracts.tools.terms import Terms, terms
from refgrad.typing import Array

__all__ = ["EXP", "LDEXP", "LOG", "SQRT", "TANH"]

Derivatives = Callable[[Array], tuple[Terms, Terms, Terms]]


def tanh(x: Array) -> tuple[Terms, Terms, Terms]:
    """tanh with two derivatives."""
    y = terms(of(x).tanh(x))
    slope = 1 - y * y
    return y, slope, -2 * y * slope


def exp(x: Array) -> tuple[Terms, Terms, Terms]:
    """exp with two derivatives."""
    y = terms(of(x).exp(x))
    return y, y, y


def log(x: Array) -> tuple[Terms, Terms, Terms]:
    """log with two derivatives."""
    return terms(of(x).log(x)), terms(1 / x), terms(-1 / (x * x))


def sqrt(x: Array) -> tuple[Terms, Terms, Terms]:
    """sqrt with two derivatives."""
    y = of(x).sqrt(x)
    return terms(y), terms(1 / (2 * y)), terms(-1 / (4 * x * y))


def elementwise(
    name: str, formula: str, f: Derivatives, first: tuple[Variant, ...], second: tuple[Variant, ...]
) -> Any:
    """The operator of a function of one number."""
    return Operator(
        name=name,
        formula=formula,
        value=lambda x: f(x)[0],
        first=lambda x, u: f(x)[1] * u,
        second=lambda x, u, v: f(x)[2] * u * v,
        shape=lambda x: x,
        wrong={1: first, 2: second},
    )


def instead(name: str, formula: str, meaning: str, slope: Callable[..., Terms], *references: str) -> Variant:
    """A formula that has another factor in place of f' or f''."""

    def answer(x: Array, u: Array, v: Array | None = None) -> Answer:
        return slope(x) * u if v is None else slope(x) * u * v

    return Variant(name, formula, meaning, references, answer)


TANH = elementwise(
    "tanh",
    "tanh of every element of a vector x",
    tanh,
    (
        instead(
            "input-for-output",
            "(1 - x^2) u",
            "the derivative by a rule that is meant for the output tanh(x), at the input x",
            lambda x: 1 - terms(x) * x,
        ),
    ),
    (
        instead(
            "second-derivative-sign",
            "2 y (1 - y^2) u v",
            "the second derivative with the wrong sign",
            lambda x: -tanh(x)[2],
        ),
        instead(
            "inner-derivative-missing",
            "-2 y u v",
            "the derivative of 1 - y^2 by y, where the derivative of y by x is missing",
            lambda x: -2 * tanh(x)[0],
        ),
    ),
)

EXP = elementwise(
    "exp",
    "the exponential of every element of a vector x",
    exp,
    (
        instead(
            "input-for-output", "x u", "the derivative by a rule that is meant for the output, at the input x", terms
        ),
    ),
    (instead("output-saved", "0", "zero: the output that the rule reuses is held still", lambda x: terms(0 * x)),),
)

LOG = elementwise(
    "log",
    "the natural logarithm of every element of a vector x > 0",
    log,
    (instead("reciprocal-missing", "x u", "the direction times x, not divided by it", terms),),
    (
        instead(
            "second-derivative-sign", "u v / x^2", "the second derivative with the wrong sign", lambda x: -log(x)[2]
        ),
        instead("squared-missing", "-u v / x", "a second derivative that divides by x once", lambda x: terms(-1 / x)),
    ),
)

SQRT = elementwise(
    "sqrt",
    "the square root of every element of a vector x > 0",
    sqrt,
    (instead("half-missing", "u / sqrt x", "twice the derivative", lambda x: 2 * sqrt(x)[1]),),
    (
        instead(
            "second-derivative-sign",
            "u v / (4 y^3)",
            "the second derivative with the wrong sign",
            lambda x: -sqrt(x)[2],
        ),
        instead(
            "inner-derivative-missing",
            "-u v / (2 y^2)",
            "the derivative of 1 / (2 y) by y, where the derivative of y by x is missing",
            lambda x: terms(-1 / (2 * x)),
        ),
    ),
)


def powers(e: Any, least: int | None = None) -> Array:
    """``2^e``, exactly; 0 where an exponent is below `least`."""
    numbers = [Fraction(2) ** int(k) if least is None or k >= least else Fraction(0) for k in np.ravel(e)]
    return exact.asarray(np.array([*numbers, None], object)[:-1].reshape(np.shape(e)))


def integer_power(x: Any, u: Array) -> Answer:
    """``u 2^e`` with the power taken among integers, where ``2^-1`` is 0."""
    return terms(u) * powers(x[1], 0)


LDEXP = Operator(
    name="ldexp",
    formula="x 2^e for vectors x of floats and e of integers of one length",
    value=lambda x: terms(x[0]) * powers(x[1]),
    first=lambda x, u: terms(u) * powers(x[1]),
    second=lambda x, u, v: terms(0 * u * v),
    shape=lambda x, e: x,
    fixed=("e",),
    orders=(1,),
    wrong={
        1: (
            Variant(
                "integer-power",
                "u 2^e where e >= 0, and 0 where e < 0",
                "the derivative with 2^e evaluated among integers, where every negative power is 0",
                (
                    "https://github.com/pytorch/pytorch/issues/196680",
                    "https://github.com/pytorch/pytorch/issues/186556",
                ),
                integer_power,
            ),
            Variant("exponent-missing", "u", "the direction itself, not scaled", (), lambda x, u: terms(u)),
        )
    },
)
