"""What an operator is to a judge: its value, two directional derivatives, and what is mistaken for them.

``D f(x)[u]`` is the derivative of ``f(x + t u)`` by t at 0; ``D^2 f(x)[u, v]`` is that of ``D f(x + t v)[u]``. An
operator of several inputs takes x, u and v as tuples, one entry for each; all of them move together.

Some formulas stand in for any operator's derivative: the value itself, the first derivative, one input held still, a
Taylor coefficient. `variants` puts them beside the operator's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.terms import Measured, measured
from refgrad.typing import Array

__all__ = ["Operator", "variants"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    """An operator with its derivatives, derived by hand.

    Attributes
    ----------
    name, formula : str
        ``formula`` says what f is, with the shapes of its inputs.
    value, first, second : callable
        ``value(x)``, ``first(x, u)`` and ``second(x, u, v)``: plain formulas on arrays of any kind; balls where a
        function leaves the rationals.
    shape : callable
        ``shape(*shapes)``: the shape of the output, from those of the inputs.
    inputs : tuple of str
        The names of the inputs that move.
    fixed : tuple of str
        Integer inputs that come after them in x and have no direction.
    directions : str
        What u and v are, if not any arrays of the shapes of the inputs.
    wrong : dict of int to tuple of Variant
        For each order, formulas known to be taken for this derivative; plain ones, which `variants` measures.
    bilinear : bool
        Whether f is linear in each of two inputs, so that its second derivative is 0 where one of them is held still.
    orders : tuple of int
    references : tuple of str
    """

    name: str
    formula: str
    value: Callable[..., Array]
    first: Callable[..., Array]
    second: Callable[..., Array]
    shape: Callable[..., Shape]
    inputs: tuple[str, ...] = ("x",)
    fixed: tuple[str, ...] = ()
    directions: str = ""
    wrong: Mapping[int, tuple[Variant, ...]] = field(default_factory=dict)
    bilinear: bool = False
    orders: tuple[int, ...] = (1, 2)
    references: tuple[str, ...] = ()

    def derivative(self, order: int) -> Measured:
        """`first` or `second`, with its magnitude."""
        return measured(self.first if order == 1 else self.second)


def variants(operator: Operator, order: int) -> tuple[Variant, ...]:
    """What may be computed in place of the derivative of one order: the operator's own variants, then the general."""
    found = (*operator.wrong.get(order, ()), *(first_order if order == 1 else second_order)(operator))
    return tuple(replace(variant, answer=measured(variant.answer)) for variant in found)


def first_order(operator: Operator) -> list[Variant]:
    """What may be computed in place of any first derivative."""

    def value(x: Any, u: Any) -> Array:
        return operator.value(x)

    found = [Variant("value", "f(x)", "the value of the operator, the other thing that a jvp returns", (), value)]
    for i, name in enumerate(operator.inputs if len(operator.inputs) > 1 else ()):

        def without(x: Any, u: Any, i: int = i) -> Array:
            return operator.first(x, hold_still(u, i))

        meaning = f"the derivative with {name} held still: its tangent is dropped"
        found.append(Variant(f"{name}-detached", f"D f(x)[u] with u_{name} = 0", meaning, (), without))
    return found


def second_order(operator: Operator) -> list[Variant]:
    """What may be computed in place of any second derivative."""

    def first(x: Any, u: Any, v: Any) -> Array:
        return operator.first(x, u)

    def twice_u(x: Any, u: Any, v: Any) -> Array:
        return operator.second(x, u, u)

    def twice_v(x: Any, u: Any, v: Any) -> Array:
        return operator.second(x, v, v)

    def coefficient(x: Any, u: Any, v: Any) -> Array:
        return operator.second(x, u, v) / 2

    found = [
        Variant("first-derivative", "D f(x)[u]", "the first derivative along u", (), first),
        Variant("along-u-twice", "D^2 f(x)[u, u]", "the second derivative along u alone", (), twice_u),
        Variant("along-v-twice", "D^2 f(x)[v, v]", "the second derivative along v alone", (), twice_v),
        Variant(
            "taylor-coefficient",
            "D^2 f(x)[u, v] / 2",
            "half of it, the coefficient of the Taylor series",
            ("Griewank and Walther 2008, Evaluating Derivatives, section 13.2",),
            coefficient,
        ),
    ]
    for i, name in enumerate(operator.inputs if len(operator.inputs) > 1 and not operator.bilinear else ()):

        def without(x: Any, u: Any, v: Any, i: int = i) -> Array:
            return operator.second(x, hold_still(u, i), hold_still(v, i))

        meaning = f"the derivative with {name} held still: its tangents are dropped"
        found.append(Variant(f"{name}-detached", f"D^2 f(x)[u, v] with u_{name} = v_{name} = 0", meaning, (), without))
    return found


def hold_still(u: tuple[Any, ...], i: int) -> tuple[Any, ...]:
    """A direction in which the i-th input does not move."""
    return tuple(0 * part if j == i else part for j, part in enumerate(u))
