"""Operators that act on each element: ``D f(x)[u] = f'(x) u`` and ``D^2 f(x)[u, v] = f''(x) u v``.

tanh     y = tanh x     f' = 1 - y^2       f'' = -2 y (1 - y^2)
exp      y = e^x        f' = y             f'' = y
log                     f' = 1/x           f'' = -1/x^2
sqrt     y = x^(1/2)    f' = 1/(2 y)       f'' = -1/(4 y^3)
ldexp    x 2^e, which is linear in x
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refgrad.backend import of
from refgrad.contracts.operators.operator import Operator
from refgrad.contracts.tools.answer import Variant
from refgrad.typing import Array

__all__ = ["EXP", "LDEXP", "LOG", "SQRT", "TANH"]

Derivatives = Callable[[Array], tuple[Array, Array, Array]]


def tanh(x: Array) -> tuple[Array, Array, Array]:
    """tanh with two derivatives."""
    y = of(x).tanh(x)
    slope = 1 - y * y
    return y, slope, -2 * y * slope


def exp(x: Array) -> tuple[Array, Array, Array]:
    """exp with two derivatives."""
    y = of(x).exp(x)
    return y, y, y


def log(x: Array) -> tuple[Array, Array, Array]:
    """log with two derivatives."""
    return of(x).log(x), 1 / x, -1 / (x * x)


def sqrt(x: Array) -> tuple[Array, Array, Array]:
    """sqrt with two derivatives."""
    y = of(x).sqrt(x)
    return y, 1 / (2 * y), -1 / (4 * x * y)


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


def instead(name: str, formula: str, meaning: str, slope: Callable[..., Array], *references: str) -> Variant:
    """A formula that has another factor in place of f' or f''."""

    def answer(x: Array, u: Array, v: Array | None = None) -> Array:
        return slope(x) * u if v is None else slope(x) * u * v

    return Variant(name, formula, meaning, references, answer)


TANH = elementwise(
    "tanh",
    "tanh of every element of an array x",
    tanh,
    (
        instead(
            "input-for-output",
            "(1 - x^2) u",
            "the derivative by a rule that is meant for the output tanh(x), at the input x",
            lambda x: 1 - x * x,
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
    "the exponential of every element of an array x",
    exp,
    (
        instead(
            "input-for-output",
            "x u",
            "the derivative by a rule that is meant for the output, at the input x",
            lambda x: x,
        ),
    ),
    (instead("output-saved", "0", "zero: the output that the rule reuses is held still", lambda x: 0 * exp(x)[0]),),
)

LOG = elementwise(
    "log",
    "the natural logarithm of every element of an array x > 0",
    log,
    (instead("reciprocal-missing", "x u", "the direction times x, not divided by it", lambda x: x),),
    (
        instead(
            "second-derivative-sign", "u v / x^2", "the second derivative with the wrong sign", lambda x: -log(x)[2]
        ),
        instead("squared-missing", "-u v / x", "a second derivative that divides by x once", lambda x: -1 / x),
    ),
)

SQRT = elementwise(
    "sqrt",
    "the square root of every element of an array x > 0",
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
            lambda x: -1 / (2 * x),
        ),
    ),
)


def powers(like: Any, e: Any) -> Any:
    """``2^e``, exactly, in numbers of the kind of `like`."""
    value, found = getattr(like, "value", like), np.ldexp(1.0, e)
    return of(value).asarray(found) if of(value).exact else found


def in_range(e: Any) -> np.ndarray:
    """What becomes of ``2^e`` among integers of 64 bits: 1 where it is one, -1 where it wraps round, 0 beyond."""
    return (np.asarray(e) >= 0).astype(int) * np.select([np.asarray(e) < 63, np.asarray(e) == 63], [1, -1], 0)


LDEXP = Operator(
    name="ldexp",
    formula="x 2^e for vectors x of floats and e of integers of one length",
    value=lambda x: x[0] * powers(x[0], x[1]),
    first=lambda x, u: u * powers(u, x[1]),
    second=lambda x, u, v: 0 * u * v,
    shape=lambda x, e: x,
    fixed=("e",),
    orders=(1,),
    wrong={
        1: (
            Variant(
                "integer-power",
                "u 2^e where 0 <= e <= 62, -u 2^63 where e = 63, and else 0",
                "the derivative with 2^e evaluated among integers of 64 bits, where negative powers and 2^64 are 0",
                (
                    "https://github.com/pytorch/pytorch/issues/196680",
                    "https://github.com/pytorch/pytorch/issues/186556",
                ),
                lambda x, u: u * powers(u, np.clip(x[1], 0, 63)) * in_range(x[1]),
            ),
            Variant("exponent-missing", "u", "the direction itself, not scaled", (), lambda x, u: u),
        )
    },
)
