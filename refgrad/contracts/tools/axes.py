"""Deviations along axes: what people's code does differently, one choice at a time, and two at a time.

A *recipe* is a frozen dataclass with one field for each axis; its defaults are the contract's own choices. One function
computes any recipe. A `Choice` sets one field to something else (or several, if they only make sense together), and has
the name under which that is known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from refgrad.contracts.tools.answer import Variant
from refgrad.contracts.tools.terms import measured
from refgrad.typing import Array

__all__ = ["Choice", "products", "singles"]

Formula = Callable[..., Array]


@dataclass(frozen=True)
class Choice:
    """One deviation.

    Attributes
    ----------
    name, formula, meaning, references
        As for `Variant`.
    changes : dict
        Fields of the recipe, and what they are in place of the contract's choice.
    declare : str
        For a convention: what to give as ``--param`` if that is what is meant, such as ``reduction=sum``.
    """

    name: str
    formula: str
    meaning: str
    changes: Mapping[str, Any]
    references: tuple[str, ...] = field(default=())
    declare: str = ""


def singles(compute: Callable[[Any], Formula], base: Any, choices: Sequence[Choice]) -> tuple[Variant, ...]:
    """The variants that deviate from the recipe `base` in one choice.

    Parameters
    ----------
    compute : callable
        ``compute(recipe)``: the formula, a function of the contract's arguments in plain arithmetic; one that has an
        attribute ``plain`` states its magnitude itself.
    base : recipe
    choices : list of Choice
        Those that change nothing of `base` are left out, and of those with the same effect all but the first.
    """
    return tuple(_variant(compute, recipe, (choice,)) for choice, recipe in _proper(base, choices))


def products(compute: Callable[[Any], Formula], base: Any, choices: Sequence[Choice]) -> tuple[Variant, ...]:
    """The variants that deviate in two choices on different axes, named ``a-with-b``, but for those with own names."""
    proper = _proper(base, choices)
    known = [recipe for _, recipe in proper]
    found = []
    for pair in combinations([choice for choice, _ in proper], 2):
        recipe = replace(base, **pair[0].changes, **pair[1].changes) if not shared(*pair) else base
        if recipe != base and recipe not in known:
            found.append(_variant(compute, recipe, pair))
    return tuple(found)


def shared(a: Choice, b: Choice) -> set[str]:
    """The axes on which both deviate."""
    return set(a.changes) & set(b.changes)


def _proper(base: Any, choices: Sequence[Choice]) -> list[tuple[Choice, Any]]:
    """The choices that deviate from `base`, each with its recipe; of two with the same recipe the first."""
    found: list[tuple[Choice, Any]] = []
    for choice in choices:
        recipe = replace(base, **choice.changes)
        if recipe != base and all(recipe != other for _, other in found):
            found.append((choice, recipe))
    return found


def _variant(compute: Callable[[Any], Formula], recipe: Any, chosen: tuple[Choice, ...]) -> Variant:
    formula = compute(recipe)
    return Variant(
        name="-with-".join(c.name for c in chosen),
        formula="; ".join(c.formula for c in chosen),
        meaning="; and ".join(c.meaning for c in chosen),
        references=tuple(reference for c in chosen for reference in c.references),
        answer=formula if hasattr(formula, "plain") else measured(formula),
        declare=" ".join(f"--param {c.declare}" for c in chosen if c.declare) if all(c.declare for c in chosen) else "",
    )
