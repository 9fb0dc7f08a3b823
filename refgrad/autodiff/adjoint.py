"""Whether a tangent rule and a cotangent rule are transposes of one another: ``<u, J t> = <J^T u, t>``.

t and u are fixed vectors of odd integers. On exact arrays both numbers are equal or the rules are wrong. On floats they
differ by rounding, and the limit is the one that refgrad sets to sound code everywhere (`refgrad.exact.attainable`): 30
times what a backward stable rule may leave, which is how far either number moves if the data of the rules, that is the
arguments and the result, move by a unit roundoff, and a unit roundoff of the sum of the absolute values of the terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from refgrad.autodiff.several_results import has_derivative
from refgrad.backend import of, shape_of
from refgrad.errors import WrongDerivative
from refgrad.typing import Array

if TYPE_CHECKING:
    from refgrad.autodiff.custom import Leafwise

__all__ = ["check_adjoint", "integers_like"]

_LIMIT = 30


def check_adjoint(rules: Leafwise, ys: Sequence[Any], xs: Sequence[Any]) -> bool:
    """Whether the rules were seen to be transposes at `xs`, with results `ys`; plain arrays.

    False if nothing can be said, because a number was infinite or NaN.

    Raises
    ------
    WrongDerivative
        If they are not; the message gives both numbers for the arguments on which they differ.
    """
    ts, us = _vectors(xs, 1), _vectors(ys, 2)
    with np.errstate(all="ignore"):  # the rules will say it again, when they are used
        cotangents = rules.pull(ys, xs, us)
        forward, reverse = _product(us, rules.push(ys, xs, ts)), _product(cotangents, ts)
        if not (forward.finite and reverse.finite):
            return False
        numbers = [*xs, *ys]
        if forward.agrees(reverse, numbers):
            return True
        moved = _moved_by_rounding(rules, xs, ts, us, forward, reverse)
    if forward.agrees(reverse, numbers, moved):
        return True
    wrong = []
    for i, t in enumerate(ts):
        if t is None:
            continue
        only = [s if i == j or s is None else 0 * s for j, s in enumerate(ts)]
        one, other = _product(us, rules.push(ys, xs, only)), _product([cotangents[i]], [t])
        if not one.agrees(other, numbers, moved):
            wrong.append(f"argument {rules.places[i]}: <u, J t> = {one.shown} but <J^T u, t> = {other.shown}")
    if not wrong:
        total = f"<u, J t> = {forward.shown} but <J^T u, t> = {reverse.shown}"
        wrong = [f"all arguments together: {total}; the jvp rule is not linear in the tangents"]
    raise WrongDerivative(
        f"{rules.name}: the jvp and vjp rules are not transposes of one another. For integer vectors t and u, "
        f"{'; '.join(wrong)}. Mend the rule that is wrong; check=False switches this check off."
    )


def integers_like(x: Array, shift: int) -> Array:
    """An array like x of odd integers from -13 to 11, without a period that nearly fits, the same in every run."""
    size = math.prod(shape_of(x))
    k = np.arange(size, dtype=np.int64) + 977 * shift
    values = (k * (k + 1) * 40503 // 64 % 13 * 2 - 13).reshape(shape_of(x))
    xp = of(x)
    if xp.exact:
        return xp.zeros_like(x) + values
    if isinstance(x, (float, np.ndarray, np.generic)):
        return values.astype(getattr(x, "dtype", np.float64))
    return xp.astype(xp.xp.asarray(values), x.dtype)


def _vectors(leaves: Sequence[Any], shift: int) -> list[Any]:
    return [integers_like(x, shift + 2 * i) if has_derivative(x) else None for i, x in enumerate(leaves)]


@dataclass(frozen=True)
class _Product:
    """An inner product, between two bounds that exact numbers make equal, and the sum of its terms' absolute values."""

    low: Any
    high: Any
    size: Any
    exact: bool

    @property
    def finite(self) -> bool:
        return self.exact or math.isfinite(self.size)

    @property
    def shown(self) -> str:
        return str(self.low) if self.low == self.high else f"[{float(self.low)}, {float(self.high)}]"

    def agrees(self, other: _Product, numbers: Sequence[Any], moved: float = 0.0) -> bool:
        if self.exact and other.exact:
            return bool(max(self.low, other.low) <= min(self.high, other.high))
        limit = _LIMIT * (_unit(numbers) * float(self.size + other.size) + moved)
        return bool(abs(float(self.low - other.low)) <= limit)


def _product(a: Sequence[Any], b: Sequence[Any]) -> _Product:
    from refgrad import exact  # on demand: it brings python-flint

    pairs = [(x, y) for x, y in zip(a, b, strict=True) if x is not None]
    exactly = all(of(x, y).exact for x, y in pairs)
    low, high, size = (Fraction(0),) * 3 if exactly else (0.0,) * 3
    for x, y in pairs:
        if exactly:
            below, above = exact.bounds((x * y).sum())
            low, high = low + below.item(), high + above.item()
        else:
            terms = _host(x).ravel() * _host(y).ravel()
            low, size = low + float(terms.sum()), size + float(np.abs(terms).sum())
            high = low
    return _Product(low, high, size, exactly)


def _host(x: Array) -> np.ndarray:
    return np.asarray(x.get() if hasattr(x, "get") else x).astype(np.float64)


def _unit(numbers: Sequence[Any]) -> float:
    """The largest unit roundoff among the floats."""
    names = {str(getattr(x, "dtype", "float64")).rpartition(".")[2] for x in numbers}
    return max((float(np.finfo(name).eps) / 2 for name in names & {"float16", "float32", "float64"}), default=0.0)


def _moved_by_rounding(
    rules: Leafwise, xs: Sequence[Any], ts: Sequence[Any], us: Sequence[Any], forward: _Product, reverse: _Product
) -> float:
    """How far the two numbers move if the arguments and the results move by a unit roundoff."""
    if forward.exact:
        return 0.0
    unit, largest = _unit(xs), 0.0
    for shift in (5, 6):
        near = [_beside(x, integers_like(x, shift + i), unit) if has_derivative(x) else x for i, x in enumerate(xs)]
        found = rules.run(*near)
        ys = [
            _beside(y, integers_like(y, shift + 7 + k), unit) if has_derivative(y) else y for k, y in enumerate(found)
        ]
        one, other = _product(us, rules.push(ys, near, ts)), _product(rules.pull(ys, near, us), ts)
        largest = max(largest, abs(one.low - forward.low), abs(other.low - reverse.low))
    return largest if math.isfinite(largest) else math.inf


def _beside(x: Array, signs: Array, unit: float) -> Array:
    # to nearest, x + 2 u x is the next float or the one after it
    return x + x * (signs / abs(signs)) * (2 * unit)
